"""Find people in a photo with an exported model; needs onnxruntime, numpy and opencv-python only.

    python tools/export.py --config-file F --weights W --format onnx --output DIR
    python tools/onnx_example.py DIR/model.onnx photo.jpg --output found

Writes found.jpg, the photo with the people drawn, and found.json. This file imports nothing of
the project: copy it and the two files of DIR wherever they are needed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

LEFT, RIGHT, MIDDLE = (0, 128, 255), (255, 160, 0), (60, 220, 120)  # BGR
OUTPUTS = ["boxes", "scores", "classes", "keypoints"]


def read_photo(path: Path) -> np.ndarray:
    """Return (H, W, 3) uint8 BGR; of 16 bits the higher eight.

    Raises:
        ValueError: if OpenCV cannot read it, or it is several pictures or has values of 32 bits.
    """
    as_stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if as_stored is None:
        raise ValueError("is not a photo that OpenCV reads")
    if cv2.imcount(str(path)) > 1:
        raise ValueError("holds several pictures; save the one that is meant")
    if as_stored.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"has {as_stored.dtype} values; scale them to 8 bits")
    return cv2.imread(str(path), cv2.IMREAD_COLOR)


def find_people(session: Any, photo: np.ndarray) -> dict[str, np.ndarray]:
    """Return boxes (N, 4), scores (N,), classes (N,) and keypoints (N, K, 3) of a photo.

    Args:
        session: an ``onnxruntime.InferenceSession`` of model.onnx.
        photo: (H, W, 3) uint8 BGR, as OpenCV reads it; any size.
    """
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {"image": photo}), strict=True))


def to_json(found: dict[str, np.ndarray], description: dict) -> list[dict]:
    """Return what was found, one dict for each person; the keypoints by name."""
    people = []
    for box, score, number, points in zip(*(found[name] for name in OUTPUTS), strict=True):
        kind = description["classes"][number]
        rows = [description["keypoint_names"].index(name) for name in kind["keypoint_names"]]
        named = zip(kind["keypoint_names"], points[rows].tolist(), strict=True)
        people.append(
            {
                "class": kind["name"],
                "score": float(score),
                "box_xyxy": box.tolist(),
                "keypoints": {
                    n: dict(zip(("x", "y", "score"), xys, strict=True)) for n, xys in named
                },
            }
        )
    return people


def draw(photo: np.ndarray, people: list[dict], description: dict) -> np.ndarray:
    """Return a copy of the photo with boxes, skeletons and keypoints."""
    drawn = photo.copy()
    size = max(1, round(max(photo.shape[:2]) / 400))
    side = {name: LEFT for name, _ in description["flip_pairs"]}
    side.update({name: RIGHT for _, name in description["flip_pairs"]})
    for person in people:
        # continuous coordinates; OpenCV counts from the centre of the first pixel
        x0, y0, x1, y1 = (round(value - 0.5) for value in person["box_xyxy"])
        cv2.rectangle(drawn, (x0, y0), (x1, y1), MIDDLE, size)
        points = {
            name: (round(point["x"] - 0.5), round(point["y"] - 0.5))
            for name, point in person["keypoints"].items()
        }
        for start, end in description["skeleton"]:
            if start in points and end in points:
                colour = side.get(start, MIDDLE) if side.get(start) == side.get(end) else MIDDLE
                cv2.line(drawn, points[start], points[end], colour, size, cv2.LINE_AA)
        for name, point in points.items():
            cv2.circle(drawn, point, 2 * size, side.get(name, MIDDLE), -1, cv2.LINE_AA)
    return drawn


def main(argv: list[str] | None = None) -> int:
    """Run the example and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model.onnx; model.json lies beside it")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--output", type=Path, default=Path("found"), help="without suffix")
    parser.add_argument("--score", type=float, default=0.5, help="lowest of a person, default 0.5")
    arguments = parser.parse_args(argv)

    for path in (arguments.model, arguments.model.with_suffix(".json"), arguments.photo):
        if not path.is_file():
            print(f"error: no file at {path}", file=sys.stderr)
            return 2
    try:
        photo = read_photo(arguments.photo)
    except ValueError as error:
        print(f"error: {arguments.photo} {error}", file=sys.stderr)
        return 2
    description = json.loads(arguments.model.with_suffix(".json").read_text(encoding="utf-8"))
    import onnxruntime  # here, so that --help works without it

    session = onnxruntime.InferenceSession(str(arguments.model), providers=["CPUExecutionProvider"])
    people = to_json(find_people(session, photo), description)
    people = [person for person in people if person["score"] >= arguments.score]

    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    drawing, record = (Path(f"{arguments.output}{suffix}") for suffix in (".jpg", ".json"))
    cv2.imwrite(str(drawing), draw(photo, people, description))
    found = {"photo": str(arguments.photo), "people": people}
    record.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(f"{len(people)} people; wrote {drawing} and {record}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
