"""Autocast of the pretended GPU, by the lists that PyTorch uses for CUDA.

PyTorch ships the lists as macros of a header. Weights are cast at each use; CUDA keeps the casts of
an autocast block, which saves kernels and changes no value.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401 - registers the operations named below
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map

_HEADER = Path(torch.__file__).parent / "include/ATen/autocast_mode.h"
_KEY = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)


def register_autocast(device: str) -> list[torch.library.Library]:
    """Register the rules for PrivateUse1; return what must be kept alive."""
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    for macro, rule in _RULES.items():
        for op in _listed(macro):
            aten.impl(op, functools.partial(rule, device, op), "AutocastPrivateUse1")
    aten.impl("binary_cross_entropy", _banned, "AutocastPrivateUse1")
    vision = torch.library.Library("torchvision", "IMPL")
    for name in ("roi_align", "nms"):
        op = getattr(torch.ops.torchvision, name).default
        rule = functools.partial(_in_float32_and_back, device, op)
        vision.impl(name, rule, "AutocastPrivateUse1")
    return [rest, aten, vision]


def _listed(macro: str) -> Iterator[OpOverload]:
    text = _HEADER.read_text()
    body = re.search(rf"#define {macro}\(_\)((?:.*\\\n)+.*)", text)[1]
    for name, overload in re.findall(r"_\((\w+)(?:, (\w+))?\)", body):
        packet = getattr(torch.ops.aten, name)
        if "imname" not in overload:  # named tensors
            yield getattr(packet, overload or "default")


def _is_eligible(device: str, value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.device.type == device
        and value.is_floating_point()
        and value.dtype != torch.float64
    )


def _run_as(device: str, dtype: torch.dtype, op: OpOverload, args: Any, kwargs: Any) -> Any:
    def cast(value: Any) -> Any:
        return value.to(dtype) if _is_eligible(device, value) else value

    with torch._C._ExcludeDispatchKeyGuard(_KEY):
        return op(*tree_map(cast, args), **tree_map(cast, kwargs))


def _in_lower_precision(device: str, op: OpOverload, *args: Any, **kwargs: Any) -> Any:
    return _run_as(device, torch.get_autocast_dtype(device), op, args, kwargs)


def _in_float32(device: str, op: OpOverload, *args: Any, **kwargs: Any) -> Any:
    return _run_as(device, torch.float32, op, args, kwargs)


def _into_float32(device: str, op: OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Ask for a float32 result of an input in lower precision, unless the caller asks for one."""
    names = [each.name for each in op._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    if _is_eligible(device, args[0]) and given.get("dtype") is None:
        given["dtype"] = torch.float32
    with torch._C._ExcludeDispatchKeyGuard(_KEY):
        return op(**given)


def _in_widest(device: str, op: OpOverload, *args: Any, **kwargs: Any) -> Any:
    found = [each.dtype for each in tree_leaves((args, kwargs)) if _is_eligible(device, each)]
    widest = functools.reduce(torch.promote_types, found, torch.get_autocast_dtype(device))
    return _run_as(device, widest, op, args, kwargs)


def _in_float32_and_back(device: str, op: OpOverload, *args: Any, **kwargs: Any) -> Any:
    output = _run_as(device, torch.float32, op, args, kwargs)
    return output.to(args[0].dtype) if output.is_floating_point() else output


def _banned(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("binary_cross_entropy is unsafe to autocast; use the form with logits")


_RULES = {
    "AT_FORALL_LOWER_PRECISION_FP": _in_lower_precision,
    "AT_FORALL_FP32": _in_float32,
    "AT_FORALL_FP32_SET_OPT_DTYPE": _into_float32,
    "AT_FORALL_PROMOTE": _in_widest,
}
