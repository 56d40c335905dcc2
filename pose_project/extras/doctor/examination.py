"""All checks on one dataset, in the order of the report."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from detectron2.utils import comm

from pose_project.data.category_schemas import Schemas
from pose_project.extras.doctor import (
    check_boxes,
    check_categories,
    check_expected,
    check_images,
    check_instances,
    check_keypoints,
    check_structure,
)
from pose_project.extras.doctor.check_images import Photo
from pose_project.extras.doctor.columns import KINDS, Dataset
from pose_project.extras.doctor.findings import ERROR, Finding, Report
from pose_project.extras.doctor.problems import CONSEQUENCES, PROBLEMS
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import collection_paused, read_json

logger = logging.getLogger(__name__)

CHECKS: tuple[Callable[[Dataset], Iterator[Finding]], ...] = (
    check_structure.check_export,
    check_structure.check_entries,
    check_structure.check_ids,
    check_structure.check_references,
    check_structure.check_photo_entries,
    check_structure.check_somebody,
    check_categories.check_schemas,
    check_categories.check_categories_together,
    check_categories.check_pairs,
    check_categories.check_skeletons,
    check_categories.check_used,
    check_expected.check_matched,
    check_expected.check_expected,
    check_boxes.check_boxes,
    check_boxes.check_area,
    check_boxes.check_segmentation,
    check_boxes.check_crowd,
    check_keypoints.check_lengths,
    check_keypoints.check_visibility,
    check_keypoints.check_repaired,
    check_keypoints.check_counts,
    check_keypoints.check_places,
    check_instances.check_duplicates,
    check_instances.check_sides,
)
"""What can be found without opening a photo."""


@dataclass(frozen=True)
class Examination:
    """What was looked at and what was found.

    Args:
        report: the findings.
        dataset: the annotations, None where the file has none.
        photos: one for each image, where they were opened.
    """

    report: Report
    dataset: Dataset | None = None
    photos: tuple[Photo, ...] = ()


def examine(
    json_file: Path,
    image_root: Path | None = None,
    against: tuple[Path, Path] | None = None,
    schemas: Schemas = MappingProxyType({}),
) -> Examination:
    """Check a dataset.

    Args:
        json_file: annotations.
        image_root: folder of the photos; None opens none.
        against: annotations and photos of another dataset, whose photos should not be in this one.
        schemas: that the dataset is meant to have, see ``read_schemas``.

    Raises:
        InputError: if ``against`` cannot be read; what is wrong with ``json_file`` is a finding.
        OSError: if a file cannot be read.
    """
    other = read_photo_list(*against) if against else None
    try:
        content = read_json(json_file)
    except InputError as error:
        finding = Finding(PROBLEMS["not-json"], "file", detail=str(error))
        return Examination(Report.of(json_file, [finding], {}))
    report = examine_content(json_file, content, schemas)
    if not report.totals:
        return Examination(report)
    dataset = Dataset(content, schemas)
    if image_root is None:
        return Examination(report, dataset)
    opened = check_images.open_photos(dataset.images.column("file_name"), image_root)
    findings = [
        *report.findings,
        *check_images.check_files(dataset, opened),
        *check_images.check_repeated(dataset, opened),
    ]
    if other is not None:
        findings += check_images.check_leaked(dataset, opened, check_images.open_photos(*other))
    return Examination(Report.of(json_file, findings, report.totals), dataset, tuple(opened))


def examine_content(
    json_file: str | Path, content: Any, schemas: Schemas = MappingProxyType({})
) -> Report:
    """Return what is wrong with the content of a JSON file, without opening photos."""
    reason = why_not_coco(content)
    if reason:
        finding = Finding(PROBLEMS["not-coco"], "file", detail=reason)
        return Report.of(json_file, [finding], {})
    with collection_paused():
        dataset = Dataset(content, schemas)
        findings = [finding for check in CHECKS for finding in check(dataset)]
    codes = {finding.problem.code for finding in findings}
    followed = {code for cause in codes for code in CONSEQUENCES.get(cause, ())}
    findings = [each for each in findings if each.problem.code not in followed]
    return Report.of(json_file, findings, {kind: len(content[kind]) for kind in KINDS})


def why_not_coco(content: Any) -> str:
    """Return why there is nothing to check, or ""."""
    if isinstance(content, list):
        results = content and isinstance(content[0], dict) and "score" in content[0]
        return "a list of results, not of annotations" if results else "it is a list, not an object"
    if not isinstance(content, dict):
        return "it is not an object"
    wrong = [kind for kind in KINDS if not isinstance(content.get(kind), list)]
    return f"no list under {', '.join(map(repr, wrong))}" if wrong else ""


def log_findings(json_file: str, content: Any) -> None:
    """Log what is wrong with a dataset that is being loaded: one line, none if it is clean."""
    if not comm.is_main_process():
        return
    report = examine_content(json_file, content)
    if report.findings:
        # COCO itself has warnings: people without labelled keypoints, points outside their box
        level = logging.WARNING if report.exit_code == ERROR.exit_code else logging.INFO
        message = "%s: %s. python tools/doctor.py %s tells more"
        logger.log(level, message, json_file, report.line(), json_file)


def read_photo_list(json_file: Path, image_root: Path) -> tuple[list[Any], Path]:
    """Return the photos' names of a dataset, and their folder."""
    content = read_json(json_file)
    reason = why_not_coco(content)
    if reason:
        raise InputError(f"{json_file} is not in COCO's format: {reason}")
    return Dataset(content).images.column("file_name"), image_root
