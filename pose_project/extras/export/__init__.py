"""Trained models for programs that have neither Detectron2 nor, with ONNX, torch."""

from pose_project.extras.export.agreement import Agreement, DisagreementError, compare_people
from pose_project.extras.export.description import describe
from pose_project.extras.export.graph import OUTPUTS, PoseGraph, check_exportable
from pose_project.extras.export.resize_rule import ResizeRule
from pose_project.extras.export.running import OnnxModel, ReferenceModel, TorchScriptModel
from pose_project.extras.export.writing import FILES, export_model

__all__ = [
    "FILES",
    "OUTPUTS",
    "Agreement",
    "DisagreementError",
    "OnnxModel",
    "PoseGraph",
    "ReferenceModel",
    "ResizeRule",
    "TorchScriptModel",
    "check_exportable",
    "compare_people",
    "describe",
    "export_model",
]
