"""From a graph to a file: ONNX or TorchScript."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from pose_project.extras.export.graph import OUTPUTS, PoseGraph

ONNX_OPSET = 18


@torch.no_grad()
def export_model(graph: PoseGraph, file_format: str, photo: np.ndarray, path: Path) -> None:
    """Write a graph that takes photos of any size.

    Args:
        graph: on the CPU, in evaluation mode.
        file_format: a key of ``formats.FILES``.
        photo: (H, W, 3) uint8, run once to record the operations.
        path: to write.
    """
    image = torch.from_numpy(photo)
    with warnings.catch_warnings():
        # that Python reads shapes is looked after in PoseGraph, and tested with other photos
        warnings.simplefilter("ignore")
        if file_format == "torchscript":
            torch.jit.trace(graph, image, check_trace=False).save(str(path))
            return
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            graph,
            (image,),
            str(path),
            dynamo=False,  # the newer exporter refuses sizes that depend on the data
            opset_version=ONNX_OPSET,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_axes={
                "image": {0: "height", 1: "width"},
                **{name: {0: "people"} for name in OUTPUTS},
            },
        )
