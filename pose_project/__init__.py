"""Keypoint R-CNN on Detectron2: data, head, training, evaluation and drawing of poses."""

import importlib.util

__version__ = "0.1.0"

if importlib.util.find_spec("detectron2") is None:
    raise ImportError(
        "pose_project needs Detectron2, which the package index does not have under that name. "
        "Run 'python tools/install_detectron2.py' from the project's checkout, or install an "
        "official build: https://detectron2.readthedocs.io/tutorials/install.html"
    )
