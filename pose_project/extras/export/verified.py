"""An exported file that has been run and found to be the model in PyTorch before it appears."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detectron2.config import instantiate
from omegaconf import DictConfig

from pose_project.data.image_reading import read_photo
from pose_project.evaluation.model_categories import load_categories
from pose_project.extras.export.agreement import Agreement
from pose_project.extras.export.companions import write_companions
from pose_project.extras.export.description import describe
from pose_project.extras.export.formats import FILES
from pose_project.extras.export.graph import PoseGraph, check_exportable
from pose_project.extras.export.resize_rule import ResizeRule
from pose_project.extras.export.running import OnnxModel, ReferenceModel, TorchScriptModel
from pose_project.extras.export.writing import export_model
from pose_project.extras.synthetic.generation import synthetic_photo
from pose_project.inference.model import load_model
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, write_text_atomic
from pose_project.utils.provenance import device_name, sha256_of

logger = logging.getLogger(__name__)

ExportedModel = OnnxModel | TorchScriptModel


def export_verified(
    cfg: DictConfig, weights: Path, file_format: str, folder: Path
) -> tuple[ReferenceModel, ExportedModel]:
    """Write a model, ``model.json``, which says what goes in and comes out, and its companions.

    The file is run on a synthetic photo and on one without people before it appears.

    Args:
        cfg: of the model, on the CPU.
        weights: its checkpoint.
        file_format: a key of ``FILES``.
        folder: for the files.

    Returns:
        The model in PyTorch, and the one that was written.

    Raises:
        DisagreementError: if they differ; the file is not kept.
        InputError: if the model cannot be exported.
    """
    augmentations = instantiate(cfg.dataloader.test.mapper.augmentations)
    rule = ResizeRule.of(augmentations)
    if any(cfg.train.inference.get("test_time", {}).values()):
        raise InputError("train.inference.test_time cannot be exported; leave them out")
    categories = load_categories(cfg, str(weights))
    model, schema = load_model(cfg, str(weights), categories)
    check_exportable(model)
    graph = PoseGraph(model, rule).eval()
    reference = ReferenceModel(model, augmentations)

    model_file, record_file = folder / FILES[file_format], folder / "model.json"
    person, _ = synthetic_photo("demo", "val", 0)
    nobody = np.zeros((240, 320, 3), np.uint8)
    with atomic_path(model_file) as temporary:
        export_model(graph, file_format, person, temporary)
        exported = _open_model(file_format, temporary)
        agreement = Agreement()
        for photo in (person, nobody):
            agreement.add(reference(photo), exported(photo))
        agreement.check()
        digest = sha256_of(temporary)
    if not agreement.people:
        logger.warning("The model finds nobody in the synthetic photo; verify with --compare.")
    verified = agreement.summary()
    record = describe(cfg, categories, schema, graph, weights, file_format, verified)
    record = {"sha256": digest, **record}
    write_text_atomic(record_file, json.dumps(record, indent=2) + "\n")
    names = ", ".join([record_file.name, *write_companions(folder, record)])
    print(f"Wrote {model_file} ({model_file.stat().st_size / 1e6:.1f} MB), {names}")
    return reference, _open_model(file_format, model_file)


def compare(reference: ReferenceModel, exported: ExportedModel, photos: Sequence[Path]) -> None:
    """Print how far both models agree on photos, and how long each takes, in turns.

    Raises:
        InputError: if a photo cannot be read.
    """
    agreement, seconds = Agreement(), []
    for number, path in enumerate(photos):
        photo = np.ascontiguousarray(read_photo({"file_name": str(path)}, "BGR"))
        models = [reference, exported]
        found, taken = [None, None], [0.0, 0.0]
        for which in (0, 1, 1, 0) if number % 2 else (1, 0, 0, 1):
            start = time.perf_counter()
            found[which] = models[which](photo)
            # the faster of two: the first meets shapes that it has not seen before
            elapsed = time.perf_counter() - start
            taken[which] = min(taken[which] or elapsed, elapsed)
        agreement.add(*found)
        seconds.append(taken)
    for name, value in agreement.summary().items():
        print(f"{name.replace('_', ' '):30} {value:.4g}")
    eager, other = np.array(seconds).T
    print(f"{'PyTorch, ms a photo':30} {1e3 * np.median(eager):.4g}")
    print(f"{'exported, ms a photo':30} {1e3 * np.median(other):.4g}")
    print(f"{'exported, times as fast':30} {np.median(eager / other):.2f}")
    print(f"{device_name()}; medians; each photo in turns, resizing included")


def _open_model(file_format: str, path: Path) -> ExportedModel:
    """Return what runs a file, with as many threads as torch computes with."""
    if file_format == "torchscript":
        return TorchScriptModel(path)
    return OnnxModel(path, torch.get_num_threads())
