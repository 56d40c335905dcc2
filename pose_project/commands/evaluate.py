"""Score a model on the test data of its config; the same as train --eval-only.

    pose-project evaluate --config-file F --weights W
    pose-project evaluate --config-file F --weights W --num-gpus 8 train.report=True
    torchrun --nproc-per-node 8 -m pose_project evaluate --config-file F --weights W ...

Prints AP and AR of boxes and keypoints. COCO's results and the metrics go to
train.output_dir/inference.
"""

import argparse

from pose_project.commands import train


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``train`` that an evaluation has."""
    train.add_job_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate in all processes of the job."""
    arguments.eval_only = True
    train.run(arguments)
