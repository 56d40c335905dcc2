"""Keypoint R-CNN on Detectron2: data, head, training, evaluation and drawing of poses."""

import importlib.util
import sys

__version__ = "0.1.0"

# python -m pose_project setup is what brings it
_SETS_UP = {"pose_project", "setup"} <= set(sys.orig_argv)
if importlib.util.find_spec("detectron2") is None and not _SETS_UP:
    raise ImportError(
        "pose_project needs Detectron2, which the package index does not have under that name. Run "
        "'python -m pose_project setup' or 'python tools/install_detectron2.py' from the project's "
        "checkout, or install an official build: "
        "https://detectron2.readthedocs.io/tutorials/install.html"
    )
