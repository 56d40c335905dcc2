"""The types of numbers that settings name."""

from collections.abc import Sequence

import torch

from pose_project.utils.errors import InputError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def named_dtype(
    setting: str, name: str, device: str, names: Sequence[str] = tuple(_DTYPES)
) -> torch.dtype:
    """Return the type of numbers of a name.

    Args:
        setting: the key of the config, for the message.
        name: its value.
        device: what computes with it, such as ``"cuda"`` or ``"cpu"``.
        names: those that the setting may have.

    Raises:
        InputError: if it has another one, or the device cannot compute with it.
    """
    if name not in names:
        raise InputError(f"{setting} must be {' or '.join(names)}, not {name!r}")
    if name == "fp16" and torch.device(device).type == "cpu":
        raise InputError(f"{setting}=fp16 needs a GPU; a CPU runs {setting}=bf16")
    return _DTYPES[name]
