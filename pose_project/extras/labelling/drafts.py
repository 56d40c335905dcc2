"""Drafts of a model's people: made, and written for a tool."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pose_project.extras.labelling.cvat import write_cvat
from pose_project.extras.labelling.label_studio import write_label_studio
from pose_project.extras.labelling.photos import read_photos
from pose_project.extras.labelling.predictions import to_draft
from pose_project.inference import PosePredictor
from pose_project.inference.sources import Source
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra
from pose_project.utils.files import write_text_atomic
from pose_project.utils.json_files import read_json


def draft_photos(
    predictor: PosePredictor, sources: Sequence[Source], score: float, threshold: float
) -> dict[str, Any]:
    """Return whom a model finds in the photos that can be read, see ``to_draft``.

    Args:
        predictor: of ``load_predictor``.
        sources: of ``find_photos``.
        score: people below it are left out.
        threshold: keypoints of a lower probability are to be checked.
    """
    found = (
        (source, poses.above(score))
        for batch in read_photos(sources)
        for (source, _), poses in zip(
            batch, predictor.predict([image for _, image in batch]), strict=True
        )
    )
    return to_draft(found, predictor.categories, predictor.schema, threshold)


def write_draft(
    draft: dict[str, Any], tool: str, folder: Path, sources: Sequence[Source], url_prefix: str
) -> list[Path]:
    """Write ``predictions.json`` and what a tool imports, and return the files.

    Args:
        draft: of ``draft_photos``.
        tool: ``coco``, ``cvat``, ``label-studio`` or ``yolo``.
        folder: made if it is not there.
        sources: of the photos.
        url_prefix: of Label Studio, see ``write_label_studio``.
    """
    predictions = folder / "predictions.json"
    files: list[Path] = []
    if tool == "cvat":
        files = write_cvat(draft, folder)
    elif tool == "label-studio":
        files = write_label_studio(draft, folder, url_prefix)
    write_text_atomic(predictions, json.dumps(draft) + "\n")
    if tool == "yolo":
        files = [_write_yolo(predictions, folder / "dataset", sources[0])]
    return [predictions, *files]


def read_draft(path: Path) -> dict[str, Any]:
    """Return a draft that was written.

    Raises:
        InputError: if the file is none.
    """
    draft = read_json(path)
    keys = ("images", "annotations", "categories")
    if not isinstance(draft, dict) or not all(isinstance(draft.get(key), list) for key in keys):
        raise InputError(f"{path} is not a draft: pre-annotate writes it as predictions.json")
    if "threshold" not in draft.get("info", {}):
        raise InputError(f"{path} is not a draft of pre-annotate but other annotations")
    return draft


def _write_yolo(predictions: Path, folder: Path, source: Source) -> Path:
    converter = find_extra("converters.coco_to_yolo")
    if converter is None:
        raise InputError("YOLO needs pose_project/extras/converters, which is not here")
    image_root = str(source.path).removesuffix(source.name)
    converter.coco_to_yolo({"train": f"{predictions}@{image_root}"}, folder)
    return folder / "data.yaml"
