"""Checkpoints that are whole or absent, carry their provenance, and load as data only."""

import json
import logging
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from detectron2.checkpoint import DetectionCheckpointer
from torch import nn

from pose_project.checkpoint.pickled_weights import load_pickled_weights
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, write_text_atomic
from pose_project.utils.provenance import collect_provenance, sha256_of

logger = logging.getLogger(__name__)


class PoseCheckpointer(DetectionCheckpointer):
    """Detectron2's checkpointer, writing atomically and refusing weights that do not fit.

    Beside ``NAME.pth`` lies ``NAME.json``: its sha256, the iteration, metrics, config and the
    versions that made it. Weights are read as data: nothing in a ``.pth`` or ``.pkl`` is run.
    """

    def save(self, name: str, *, tag_as_last: bool = True, **extra: Any) -> None:
        """Write ``NAME.pth`` and ``NAME.json``.

        Args:
            name: file name without suffix.
            tag_as_last: make it the one that ``--resume`` continues from.
            extra: further entries of the file, such as ``iteration``. ``provenance`` goes into the
                JSON instead.

        Raises:
            OSError: if the disk is full or not writable; what was there before is unchanged.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        provenance = extra.pop("provenance", {})
        content = {"model": self.model.state_dict(), **extra}
        for key, checkpointable in self.checkpointables.items():
            content[key] = checkpointable.state_dict()
        path = Path(self.save_dir) / f"{name}.pth"
        write_checkpoint(path, content, provenance)
        if tag_as_last:
            self.tag_last_checkpoint(path.name)
        logger.info("Saved %s", path)

    def save_for_use(self, name: str, provenance: dict[str, Any]) -> None:
        """Write ``NAME.pth`` with the weights alone, without what only training needs."""
        if not self.save_dir or not self.save_to_disk:
            return
        left_out = _only_in_training(self.model)
        state = self.model.state_dict()
        weights = {key: value for key, value in state.items() if not key.startswith(left_out)}
        write_checkpoint(Path(self.save_dir) / f"{name}.pth", {"model": weights}, provenance)
        logger.info("Saved %s: %d of %d tensors", name, len(weights), len(state))

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Note atomically which file ``--resume`` continues from."""
        write_text_atomic(Path(self.save_dir) / "last_checkpoint", last_filename_basename)

    def newest_intact(self) -> Path | None:
        """Return the checkpoint to resume from, or None in a folder without any.

        It is the last one written whose content has the sha256 that its JSON records. A damaged
        one is skipped with a warning.

        Raises:
            InputError: if there are checkpoints and all are damaged.
        """
        if not self.has_checkpoint():
            return None
        numbered = sorted(Path(self.save_dir).glob("model_[0-9]*.pth"), reverse=True)
        for path in dict.fromkeys([tagged_checkpoint(Path(self.save_dir)), *numbered]):
            if _is_intact(path):
                return path
            logger.warning("%s is damaged; trying the checkpoint before it.", path)
        raise InputError(
            f"every checkpoint in {self.save_dir} is damaged; start anew in another folder"
        )

    def load(
        self, path: str, checkpointables: list[str] | None = None, *, complete: bool = False
    ) -> dict[str, Any]:
        """Load a checkpoint.

        Args:
            path: a file or an address that Detectron2 can fetch; empty does nothing.
            checkpointables: which of the other states to load; None for all.
            complete: refuse a file that leaves any parameter as it was. Otherwise it must fill the
                backbone, which is all that ImageNet weights have.

        Raises:
            InputError: if there is no such file, it cannot be fetched or read, or does not fit.
        """
        self._complete = complete
        try:
            return super().load(path, checkpointables)
        except (URLError, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise InputError(
                f"cannot fetch {path} ({reason}); download it on a machine that can and pass "
                "train.init_checkpoint=FILE, or train from scratch with configs/quick"
            ) from error
        except (FileNotFoundError, AssertionError) as error:
            raise InputError(f"no weights at {path}: {error or 'not found'}") from error
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise InputError(f"{path} does not hold what a checkpoint holds: {error}") from error
        finally:
            self._parsed_url_during_load = None  # Detectron2 asserts that it is, also after errors

    def _load_file(self, filename: str) -> dict[str, Any]:
        if filename.endswith(".pkl"):
            return load_pickled_weights(filename)
        content = load_tensors(filename)
        if filename.endswith(".pyth"):  # of pycls, whose RegNets Detectron2's configs start from
            state = content.get("model_state")
            if not isinstance(state, dict):
                raise InputError(f"{filename} is not of pycls: it has no model_state")
            weights = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
            return {"model": weights, "__author__": "pycls", "matching_heuristics": True}
        if "model" not in content:
            content = {"model": content}
        address = getattr(self, "_parsed_url_during_load", None)  # release 0.6 has none
        if address is not None and "matching_heuristics=True" in address.query:
            content["matching_heuristics"] = True
        return content

    def _load_model(self, checkpoint: Any) -> Any:
        incompatible = super()._load_model(checkpoint)
        wrong_shape = {key for key, _, _ in incompatible.incorrect_shapes}
        # counters of BatchNorm, which Caffe2's weights do not have
        unfilled = [k for k in incompatible.missing_keys if not k.endswith("num_batches_tracked")]
        if self._complete:  # for use, or to resume from a file of this class that has everything
            left_out = _only_in_training(self.model)
            unfilled = [each for each in unfilled if not each.startswith(left_out)]
        blocking = unfilled if self._complete else [k for k in unfilled if "bottom_up" in k]
        if blocking:
            names = ", ".join(blocking[:3] + incompatible.unexpected_keys[:3])
            raise InputError(
                f"the weights do not fit this model: of its {len(self.model.state_dict())} tensors "
                f"{len(set(unfilled) - wrong_shape)} are missing and {len(wrong_shape)} have "
                f"another shape; {len(incompatible.unexpected_keys)} in the file are unexpected "
                f"(first: {names})"
            )
        if not self._complete:
            _log_taken_over(len(self.model.state_dict()), unfilled, incompatible.unexpected_keys)
        return incompatible


def _only_in_training(model: nn.Module) -> tuple[str, ...]:
    """Return how the names of weights begin that are of no use after training.

    Modules name such parts of theirs in ``only_in_training``.
    """
    return tuple(
        f"{name}.{part}."
        for name, module in model.named_modules()
        for part in getattr(module, "only_in_training", ())
    )


def tagged_checkpoint(folder: Path) -> Path:
    """Return the file that a run's ``last_checkpoint`` names, which may be gone.

    It is the folder itself if there is no such note, or it is damaged.
    """
    tag = folder / "last_checkpoint"
    try:
        return tag.with_name(Path(tag.read_text(encoding="utf-8").strip()).name)
    except (FileNotFoundError, ValueError):  # none, no text, or no name of a file
        return folder


def _log_taken_over(num_tensors: int, unfilled: list[str], unexpected: list[str]) -> None:
    """Say once how much of a model its weights have filled."""
    new = f"; new: {', '.join(sorted(unfilled)[:6])}" if unfilled else ""
    more = f" and {len(unfilled) - 6} more" if len(unfilled) > 6 else ""
    left = f"; {len(unexpected)} of the file are not used" if unexpected else ""
    taken = num_tensors - len(unfilled)
    logger.info("%d of %d tensors taken over%s%s%s", taken, num_tensors, new, more, left)


def write_checkpoint(path: Path, content: Mapping[str, Any], provenance: dict[str, Any]) -> None:
    """Write ``NAME.pth`` and, beside it, ``NAME.json`` with its sha256 and where it comes from.

    Raises:
        OSError: if the disk is full or not writable; what was there before is unchanged.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch hides the system's error
            free = shutil.disk_usage(path.parent).free / 1e6
            raise OSError(
                f"{path} cannot be written, {free:.0f} MB are free there; files written before are "
                "intact"
            ) from error
        digest = sha256_of(temporary)
    record = {"file": path.name, "sha256": digest, **provenance, **collect_provenance()}
    write_text_atomic(path.with_suffix(".json"), json.dumps(record, indent=2) + "\n")


def _is_intact(path: Path) -> bool:
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return sha256_of(path) == record["sha256"]
    except (OSError, ValueError, KeyError):
        return False


def load_tensors(filename: str) -> dict[str, Any]:
    """Read a ``.pth`` file of tensors and plain values; nothing in it is run.

    Raises:
        InputError: if it is damaged, is not a dict, holds other objects, or is compressed: torch
            never compresses, and a small file could then fill the memory.
    """
    try:
        if zipfile.is_zipfile(filename):
            with zipfile.ZipFile(filename) as archive:
                compressed = any(each.compress_type for each in archive.infolist())
            if compressed:
                raise InputError(f"{filename} is refused: it is compressed, as no checkpoint is")
        content = torch.load(filename, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{filename} is refused: it is damaged or holds more than tensors and plain values, "
            "which could run code when read"
        ) from error
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise InputError(f"{filename} is not a readable checkpoint: {error!r}") from error
    if not isinstance(content, dict):
        raise InputError(f"{filename} holds a {type(content).__name__}, not a dict of weights")
    return content
