"""An image in, poses out: the model in PyTorch and what was exported from it, called alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data import transforms as T
from torch import nn

from pose_project.extras.export.graph import OUTPUTS
from pose_project.structures.poses import Poses


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
    def __call__(self, image_bgr: np.ndarray) -> Poses:
        """Return the poses in an (H, W, 3) uint8 image."""
        height, width, _ = image_bgr.shape
        channels = image_bgr[:, :, ::-1] if self.model.input_format == "RGB" else image_bgr
        resized = T.AugInput(np.ascontiguousarray(channels))
        self.augmentations(resized)
        image = torch.from_numpy(np.ascontiguousarray(resized.image.transpose(2, 0, 1)))
        output = self.model([{"image": image, "height": height, "width": width}])[0]
        return Poses.of_instances(output["instances"])


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

    def __call__(self, image_bgr: np.ndarray) -> Poses:
        """Return the poses in an (H, W, 3) uint8 image."""
        outputs = self.session.run(list(OUTPUTS), {"image": image_bgr})
        return Poses(image_bgr.shape[:2], *outputs)


class OpenVinoModel:
    """A ``model.onnx`` in OpenVINO on the CPU.

    Args:
        path: the file.
        threads: to compute with.
        precision: ``"f32"``, or ``"bf16"``, which OpenVINO takes by itself where the CPU has it and
            which moves the points: coordinates of 8 bits are off by pixels.
    """

    def __init__(self, path: Path, threads: int, precision: str = "f32") -> None:
        # here, since everything else works without it
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        self.model = openvino.Core().compile_model(str(path), "CPU", settings)

    def __call__(self, image_bgr: np.ndarray) -> Poses:
        """Return the poses in an (H, W, 3) uint8 image."""
        outputs = self.model({"image": image_bgr})
        return Poses(image_bgr.shape[:2], *(outputs[name] for name in OUTPUTS))


class TorchScriptModel:
    """A ``model.ts`` on the CPU; it computes with torch's threads.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.model = torch.jit.load(str(path), map_location="cpu")

    @torch.no_grad()
    def __call__(self, image_bgr: np.ndarray) -> Poses:
        """Return the poses in an (H, W, 3) uint8 image."""
        outputs = self.model(torch.from_numpy(image_bgr))
        return Poses(image_bgr.shape[:2], *(each.numpy() for each in outputs))
