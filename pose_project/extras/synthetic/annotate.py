"""COCO annotations of what a photo shows: polygons, crowd regions, boxes and keypoints.

Keypoints are pixel indices (pixel i covers [i, i + 1)); polygons and boxes are continuous, as in
COCO.
"""

from typing import Any

import cv2
import numpy as np

from pose_project.extras.synthetic.body_parts import CARRIERS, Part
from pose_project.extras.synthetic.scene import Scene, SeenPerson
from pose_project.structures.schema import COCO_PERSON

_TRUNK = {Part.TORSO, Part.NECK}
_BEHIND_TRUNK = -0.08  # statures behind the trunk's middle where it hides a shoulder or a hip
_SMALLEST_HOLE_PX = 6
_SMALLEST_PIECE_PX = 3
_SIMPLIFY_PX = 0.6
PERSON_CATEGORY_ID = 1


def scene_annotations(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """Return the annotations of a photo; ids are unique among photos with other ``image_id``s."""
    annotations = [_person(person) for person in scene.people]
    if scene.crowd is not None:
        annotations.append(_crowd(scene.crowd))
    for index, annotation in enumerate(annotations):
        annotation |= {
            "id": image_id * 100 + index,
            "image_id": image_id,
            "category_id": PERSON_CATEGORY_ID,
        }
    return annotations


def mask_to_polygons(mask: np.ndarray) -> list[list[float]]:
    """Return polygons [x0, y0, x1, y1, ...] that follow the edges of a mask's pixels.

    Args:
        mask: (H, W) bool, not empty. It is cut in two at every hole, since a COCO polygon cannot
            have one. Specks and holes of a few pixels are left out.
    """
    x, y, width, height = (int(value) for value in _box_xywh(mask))
    padded = np.pad(mask[y : y + height, x : x + width], 1)
    polygons = []
    for strip in _strips_without_holes(padded):
        # Twice as large, the first and the last pixel of a run lie on the edges 2a and 2b - 1 of
        # the run [a, b); halving upwards gives a and b.
        doubled = strip.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
        contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            edges = (contour + 1) // 2 + (x - 1, y - 1)
            outline = cv2.approxPolyDP(edges.astype(np.float32), _SIMPLIFY_PX, closed=True)
            if len(outline) >= 3 and cv2.contourArea(outline) >= _SMALLEST_PIECE_PX:
                polygons.append([float(value) for value in outline.ravel()])
    return polygons


def mask_to_rle(mask: np.ndarray) -> dict[str, Any]:
    """Return COCO's uncompressed run lengths of a (H, W) mask, column by column, zeros first."""
    pixels = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    if counts[-1] == 0:
        counts = counts[:-1]
    return {"counts": counts.tolist(), "size": list(mask.shape)}


def person_keypoints(person: SeenPerson) -> np.ndarray:
    """Return (17, 3) int64 (x, y, v) as pixel indices of the photo; zeros outside of it.

    A joint is visible where a pixel within a small radius shows a part of this person that
    carries it.
    """
    height, width = person.mask.shape
    figure_height = person.figure.box_xyxy[3] - person.figure.box_xyxy[1]
    radius = max(1, round(0.012 * figure_height))
    keypoints = np.zeros((COCO_PERSON.num_keypoints, 3), np.int64)
    for index, name in enumerate(COCO_PERSON.names):
        joint = person.figure.joints[index]
        x, y = int(np.floor(joint[0])) + person.x, int(np.floor(joint[1])) + person.y
        if not (0 <= x < width and 0 <= y < height):
            continue
        carriers = set(CARRIERS[name])
        if name.endswith(("shoulder", "hip")) and joint[2] > _BEHIND_TRUNK:
            carriers |= _TRUNK
        rows = slice(max(0, y - radius), y + radius + 1)
        columns = slice(max(0, x - radius), x + radius + 1)
        visible = np.isin(person.parts[rows, columns], list(carriers)).any()
        keypoints[index] = x, y, 2 if visible else 1
    return keypoints


def _person(person: SeenPerson) -> dict[str, Any]:
    keypoints = person_keypoints(person)
    return {
        "iscrowd": 0,
        "area": int(person.mask.sum()),
        "bbox": _box_xywh(person.mask),
        "segmentation": mask_to_polygons(person.mask),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "keypoints": keypoints.ravel().tolist(),
    }


def _crowd(mask: np.ndarray) -> dict[str, Any]:
    return {
        "iscrowd": 1,
        "area": int(mask.sum()),
        "bbox": _box_xywh(mask),
        "segmentation": mask_to_rle(mask),
        "num_keypoints": 0,
        "keypoints": [0] * (3 * COCO_PERSON.num_keypoints),
    }


def _box_xywh(mask: np.ndarray) -> list[float]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = columns[0], rows[0]
    return [float(x), float(y), float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)]


def _strips_without_holes(mask: np.ndarray) -> list[np.ndarray]:
    """Cut a mask with an empty rim into vertical strips such that every hole is open to a side."""
    background = (~mask).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    mask = mask.copy()
    cuts = {0, mask.shape[1]}
    for label in range(1, count):  # 0 is the mask itself
        if stats[label, cv2.CC_STAT_AREA] < _SMALLEST_HOLE_PX:
            mask |= labels == label
        elif label != labels[0, 0]:
            left, width = stats[label, cv2.CC_STAT_LEFT], stats[label, cv2.CC_STAT_WIDTH]
            cuts.add(int(left + width // 2))
    columns = np.arange(mask.shape[1])
    bounds = sorted(cuts)
    return [
        mask & (columns >= left) & (columns < right)
        for left, right in zip(bounds, bounds[1:], strict=False)
    ]
