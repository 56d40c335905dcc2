"""Weights of named models: fetched once, checked, and kept in the cache.

They lie in ``weights/`` of the cache under the paths of their addresses, such as
``weights/models/keypointrcnn_resnet50_fpn_coco-fc266e95.pth``. ``$POSE_PROJECT_WEIGHTS_URL`` names
a mirror, a web address or a folder with the same paths below it: the ``weights/`` of another
machine is one. Beside each file lies a JSON that is written once the file has been checked.
"""

import json
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from pose_project.extras.download.large_files import RetryPolicy, fetch
from pose_project.extras.model_zoo.named_models import NamedModel
from pose_project.utils.cache import cache_folder
from pose_project.utils.errors import DownloadError, InputError
from pose_project.utils.files import atomic_path, write_text_atomic

logger = logging.getLogger(__name__)

MIRROR = "POSE_PROJECT_WEIGHTS_URL"
# Whoever waits for a first pose wants to hear soon that there is no network.
_POLICY = RetryPolicy(timeout=20.0, retries=2, pause=0.5)


def weights_path(model: NamedModel) -> Path:
    """Return where a model's file is kept, as it was published; it may not be there."""
    return cache_folder() / "weights" / urlsplit(model.url).path.lstrip("/")


def is_cached(model: NamedModel) -> bool:
    """Return whether a model's file is there and has been checked."""
    path = weights_path(model)
    return path.is_file() and _is_checked(path)


def fetch_weights(model: NamedModel, policy: RetryPolicy = _POLICY) -> Path:
    """Return the file that the model's config loads; it is fetched unless it is there.

    A file that somebody has put into its place is checked and taken. Several processes may ask at
    once: one fetches, the others wait.

    Args:
        model: of ``MODELS``.
        policy: how long to wait for the server.

    Raises:
        InputError: if it is not there and cannot be fetched, is not what was published, or the disk
            is full; what was there before is unchanged.
    """
    path = weights_path(model)
    converted = path if model.bn_eps is None else path.with_suffix(".converted.pth")
    if is_cached(model) and converted.is_file():
        return converted
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            _bring(model, path, policy)
            if not converted.is_file():
                from pose_project.extras.model_zoo.weight_files import convert_file

                convert_file(path, converted, is_from_torchvision=True, bn_eps=model.bn_eps)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; {model.name} needs about "
            f"{model.megabytes} MB in {cache_folder()}, which POSE_PROJECT_CACHE moves"
        ) from error
    return converted


def _bring(model: NamedModel, path: Path, policy: RetryPolicy) -> None:
    """Let a checked file lie at ``path``."""
    fault = None
    if path.is_file():
        if _is_checked(path):
            return
        fault = _fault(model, path)
        if fault is None:
            _note(model, path)
            return
        logger.warning("%s %s: fetching it anew.", path, fault)
    address = _address(model)
    logger.info("Fetching %s, about %d MB, into %s", address, model.megabytes, path.parent)
    try:
        if urlsplit(address).scheme in ("http", "https"):
            fetch(address, path, model.published, policy)
        else:
            _copy(Path(address.removeprefix("file://")), path)
    except (DownloadError, InputError) as error:  # a proxy refuses, or sends a page of its own
        here = f"{path} {fault}" if fault else f"the weights of {model.name} are not in the cache"
        raise InputError(
            f"{here}: {error.__cause__ or error}. Bring {model.url} from a machine that can fetch "
            f"it and put it into {path.parent}; or name a mirror in {MIRROR}"
        ) from error
    fault = _fault(model, path)
    if fault:
        path.unlink()
        raise InputError(f"{address} is not the published {path.name}: it {fault}")
    _note(model, path)


def _address(model: NamedModel) -> str:
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}{urlsplit(model.url).path}" if mirror else model.url


def _copy(source: Path, path: Path) -> None:
    if not source.is_file():
        raise InputError(f"the mirror has no file {source}; {MIRROR} names its folder")
    with atomic_path(path) as temporary:
        shutil.copyfile(source, temporary)


def _fault(model: NamedModel, path: Path) -> str | None:
    """Return what is wrong with a file; where no digest is published, reading it must do."""
    # late, since what is in the cache is told without PyTorch
    from pose_project.checkpoint.checkpointer import load_tensors
    from pose_project.checkpoint.pickled_weights import load_pickled_weights

    fault = model.published.fault(path)
    if fault is None:
        try:
            (load_pickled_weights if path.suffix == ".pkl" else load_tensors)(str(path))
        except InputError as error:
            fault = f"cannot be read as weights ({error})"
    return fault


def _note(model: NamedModel, path: Path) -> None:
    note = {
        "file": path.name,
        "size": path.stat().st_size,
        "model": model.name,
        "url": model.url,
        "licence": model.licence,
    }
    with suppress(PermissionError):  # somebody else's cache: the file is checked each time
        write_text_atomic(path.with_suffix(".json"), json.dumps(note, indent=2) + "\n")


def _is_checked(path: Path) -> bool:
    """Return whether a file was checked and has had the same size since."""
    try:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return note["size"] == path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return False
