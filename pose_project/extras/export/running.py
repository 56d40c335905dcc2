"""A photo in, people out: the model in PyTorch and what was exported from it, called alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.data import transforms as T
from torch import nn

from pose_project.extras.export.graph import OUTPUTS


class People(NamedTuple):
    """What a model found in a photo, in the photo's continuous coordinates."""

    boxes: np.ndarray
    """(N, 4) float32 XYXY."""
    scores: np.ndarray
    """(N,) float32."""
    classes: np.ndarray
    """(N,) int64."""
    keypoints: np.ndarray
    """(N, K, 3) float32 as (x, y, score)."""


class ReferenceModel:
    """The model as evaluation runs it: resized by Pillow, eager PyTorch in float32.

    Args:
        model: a Detectron2 model in evaluation mode.
        augmentations: of ``dataloader.test.mapper``.
    """

    def __init__(self, model: nn.Module, augmentations: Sequence[Any]) -> None:
        self.model = model
        self.augmentations = T.AugmentationList(list(augmentations))

    @torch.no_grad()
    def __call__(self, photo: np.ndarray) -> People:
        """Return the people in an (H, W, 3) uint8 BGR photo."""
        height, width, _ = photo.shape
        channels = photo[:, :, ::-1] if self.model.input_format == "RGB" else photo
        resized = T.AugInput(np.ascontiguousarray(channels))
        self.augmentations(resized)
        image = torch.from_numpy(np.ascontiguousarray(resized.image.transpose(2, 0, 1)))
        found = self.model([{"image": image, "height": height, "width": width}])[0]["instances"]
        values = found.pred_boxes.tensor, found.scores, found.pred_classes, found.pred_keypoints
        return People(*(each.cpu().numpy() for each in values))


class OnnxModel:
    """A ``model.onnx`` in ONNX Runtime on the CPU.

    Args:
        path: the file.
        threads: to compute with.
    """

    def __init__(self, path: Path, threads: int) -> None:
        # here, since everything else works without it
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # idle threads would otherwise wait actively, and slow down whatever runs in between
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, photo: np.ndarray) -> People:
        """Return the people in an (H, W, 3) uint8 BGR photo."""
        return People(*self.session.run(list(OUTPUTS), {"image": photo}))


class TorchScriptModel:
    """A ``model.ts`` on the CPU; it computes with torch's threads.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.model = torch.jit.load(str(path), map_location="cpu")

    @torch.no_grad()
    def __call__(self, photo: np.ndarray) -> People:
        """Return the people in an (H, W, 3) uint8 BGR photo."""
        return People(*(each.numpy() for each in self.model(torch.from_numpy(photo))))
