"""Trained models for programs that have neither Detectron2 nor, with ONNX, torch."""

from pose_project.export.agreement import Agreement, DisagreementError, compare_people
from pose_project.export.description import describe
from pose_project.export.graph import OUTPUTS, PoseGraph, check_exportable
from pose_project.export.resizing import ResizeRule
from pose_project.export.running import OnnxModel, People, ReferenceModel, TorchScriptModel
from pose_project.export.writing import FILES, export_model

__all__ = [
    "FILES",
    "OUTPUTS",
    "Agreement",
    "DisagreementError",
    "OnnxModel",
    "People",
    "PoseGraph",
    "ReferenceModel",
    "ResizeRule",
    "TorchScriptModel",
    "check_exportable",
    "compare_people",
    "describe",
    "export_model",
]
