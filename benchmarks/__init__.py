"""Measurements of this project's parts: at the sizes that its users have, and against peers."""

from benchmarks.accuracy import measure_accuracy
from benchmarks.coco_size import measure_dataset, write_coco_sized_json
from benchmarks.compare import Comparison, Difference, compare
from benchmarks.decoding_speed import measure_decoding
from benchmarks.evaluation_speed import measure_evaluation
from benchmarks.inference_speed import measure_inference
from benchmarks.loading_speed import measure_loading
from benchmarks.report import write_report
from benchmarks.runtimes import measure_runtimes
from benchmarks.shard_size import measure_shards
from benchmarks.startup_speed import measure_startup
from benchmarks.test_time import measure_test_time
from benchmarks.tracking import measure_tracking
from benchmarks.train_speed import measure_training

__all__ = [
    "Comparison",
    "Difference",
    "compare",
    "measure_accuracy",
    "measure_test_time",
    "measure_dataset",
    "measure_decoding",
    "measure_evaluation",
    "measure_inference",
    "measure_loading",
    "measure_runtimes",
    "measure_shards",
    "measure_startup",
    "measure_tracking",
    "measure_training",
    "write_coco_sized_json",
    "write_report",
]
