"""The parts of a run as one file: COCO's results with a listing of the photos, or a table."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pose_project.inference.finished_parts import Part
from pose_project.inference.sources import Source
from pose_project.structures import KeypointSchema
from pose_project.structures.coco_results import to_coco_results
from pose_project.structures.pose_table import POSE_COLUMNS, pose_rows
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, write_text_atomic
from pose_project.utils.json_files import read_json

SourceParts = Iterable[tuple[Source, Part]]
_CSV_HEADER = ["file", "frame", "seconds", *POSE_COLUMNS]


class ImageIds:
    """The ``image_id`` of each photo and frame, and the ``category_id`` of each class.

    Without annotations photos and frames count from 1 in their order, and categories have the
    model's ids.

    Args:
        categories: of the model.
        annotations: a COCO JSON whose ids are used instead. Photos are found by ``file_name``, the
            end of their paths, and categories by their names.

    Raises:
        InputError: if the JSON is not an annotation file or lacks a category of the model.
    """

    def __init__(self, categories: list[dict[str, Any]], annotations: Path | None) -> None:
        self.category_ids = [each["id"] for each in categories]
        self._by_tail: dict[str, int] | None = None
        self._next = 0
        if annotations is None:
            return
        content = read_json(annotations)
        try:
            images = {str(each["file_name"]): each["id"] for each in content["images"]}
            self._by_tail = {_with_slashes(name): id_ for name, id_ in images.items()}
            ids = {each["name"]: each["id"] for each in content["categories"]}
        except (KeyError, TypeError) as error:
            raise InputError(f"{annotations} is not a COCO annotation file: {error!r}") from error
        unknown = [each["name"] for each in categories if each["name"] not in ids]
        if unknown:
            raise InputError(f"{annotations} has no category {unknown[0]!r}, which is predicted")
        self.category_ids = [ids[each["name"]] for each in categories]
        self._file = annotations

    def check(self, sources: Sequence[Source]) -> None:
        """Raise ``InputError`` unless all sources are photos of the annotations."""
        if self._by_tail is None:
            return
        unknown = [each for each in sources if each.is_video or self._annotated(each) is None]
        if unknown:
            raise InputError(
                f"{len(unknown)} of {len(sources)} inputs are not photos of {self._file}, "
                f"such as {unknown[0].path}"
            )
        first: dict[int, Source] = {}
        for each in sources:
            other = first.setdefault(self._annotated(each), each)
            if other is not each:
                raise InputError(
                    f"{other.path} and {each.path} would be the same photo of {self._file}"
                )

    def next_id(self, source: Source) -> int:
        """Return the id of the source's photo or next frame."""
        if self._by_tail is not None:
            return self._annotated(source)
        self._next += 1
        return self._next

    def named(self, categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the model's categories under these ids."""
        ids = zip(categories, self.category_ids, strict=True)
        return [{**each, "id": id_} for each, id_ in ids]

    def _annotated(self, source: Source) -> int | None:
        pieces = _with_slashes(source.path.as_posix()).split("/")
        tails = ("/".join(pieces[start:]) for start in range(len(pieces) - 1, -1, -1))
        return next((self._by_tail[tail] for tail in tails if tail in self._by_tail), None)


def _with_slashes(path: str) -> str:
    """Return a path without the backslashes of Windows."""
    return path.replace("\\", "/")


def write_coco(
    results_file: Path,
    images_file: Path,
    parts: SourceParts,
    ids: ImageIds,
    categories: list[dict[str, Any]],
    schema: KeypointSchema,
) -> None:
    """Write everything found, in COCO's results format, and which photo or frame is which id.

    Args:
        results_file: one dict a person, see :func:`to_coco_results`.
        images_file: ``images`` with ``id file_name height width``, of a video's frames also
            ``frame_index`` from 0 and ``seconds``, when it is shown; and ``categories``.
        parts: of all sources, in order.
        ids: used up by this.
        categories: of the model.
        schema: of the model's keypoints.
    """
    images: list[dict[str, Any]] = []

    with atomic_path(results_file) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        separator = "[\n"
        for image, results in _coco_images(parts, ids, schema):
            images.append(image)
            for result in results:
                stream.write(separator + json.dumps(result))
                separator = ",\n"
        stream.write("\n]\n" if separator == ",\n" else "[]\n")
    listing = {"images": images, "categories": ids.named(categories)}
    write_text_atomic(images_file, json.dumps(listing) + "\n")


def coco_content(
    parts: SourceParts, ids: ImageIds, categories: list[dict[str, Any]], schema: KeypointSchema
) -> dict[str, Any]:
    """Return the same as one dict: ``images``, ``categories`` and, as ``results``, the people."""
    found = list(_coco_images(parts, ids, schema))
    return {
        "images": [image for image, _ in found],
        "categories": ids.named(categories),
        "results": [result for _, results in found for result in results],
    }


def _coco_images(
    parts: SourceParts, ids: ImageIds, schema: KeypointSchema
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield each photo's and frame's entry of ``images`` and its people as results."""
    for source, part in parts:
        for index, poses in enumerate(part.frames):
            height, width = poses.image_size_hw
            image = {"id": ids.next_id(source), "file_name": source.name}
            image |= {"height": height, "width": width}
            if source.is_video:
                image |= {"frame_index": index, "seconds": part.seconds[index]}
            yield image, to_coco_results([poses], [image["id"]], schema, ids.category_ids)


def write_csv(file: Path, parts: SourceParts, names: list[str], schema: KeypointSchema) -> None:
    """Write everything found as a table with a row a keypoint.

    Coordinates are continuous, in pixels: pixel i covers [i, i + 1). ``frame`` and ``seconds`` are
    empty for photos, ``track_id`` for people who are not followed.

    Args:
        file: to write.
        parts: of all sources, in order.
        names: of the classes.
        schema: of the model's keypoints.
    """
    with atomic_path(file) as temporary, open(temporary, "w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(_CSV_HEADER)
        for source, part in parts:
            table.writerows(_rows(source, part, names, schema))


def _rows(
    source: Source, part: Part, names: list[str], schema: KeypointSchema
) -> Iterator[list[Any]]:
    for index, poses in enumerate(part.frames):
        frame = [index, f"{part.seconds[index]:.6f}"] if source.is_video else ["", ""]
        for person, track_id, name, *box, score, keypoint, x, y, keypoint_score in pose_rows(
            poses, names, schema
        ):
            head = [source.name, *frame, person, track_id or "", name]
            head += [*(f"{value:.3f}" for value in box), f"{score:.6f}", keypoint]
            yield [*head, f"{x:.3f}", f"{y:.3f}", f"{keypoint_score:.6f}"]
