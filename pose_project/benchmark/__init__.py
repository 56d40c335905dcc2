"""Measurements of this project's parts: at the sizes that its users have, and against peers."""

from pose_project.benchmark.accuracy import measure_accuracy
from pose_project.benchmark.answers import measure_answers
from pose_project.benchmark.coco_size import measure_dataset, write_coco_sized_json
from pose_project.benchmark.compare import Comparison, Difference, compare
from pose_project.benchmark.decoding_speed import measure_decoding
from pose_project.benchmark.evaluation_speed import measure_evaluation
from pose_project.benchmark.inference_speed import measure_inference
from pose_project.benchmark.loading_speed import measure_loading
from pose_project.benchmark.report import write_report
from pose_project.benchmark.startup_speed import measure_startup
from pose_project.benchmark.tracking import measure_tracking
from pose_project.benchmark.train_speed import measure_training

__all__ = [
    "Comparison",
    "Difference",
    "compare",
    "measure_accuracy",
    "measure_answers",
    "measure_dataset",
    "measure_decoding",
    "measure_evaluation",
    "measure_inference",
    "measure_loading",
    "measure_startup",
    "measure_tracking",
    "measure_training",
    "write_coco_sized_json",
    "write_report",
]
