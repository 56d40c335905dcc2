"""Make object proposals for a dataset's photos, for models without an RPN.

    pose-project precompute-proposals --dataset NAME --method selective_search --output FILE.pkl

Writes the file that configs name as proposal_files, in Detectron2's format. A run that was killed
goes on where it was when started again. Photos that cannot be read are listed at the end and have
no proposals. Where the dataset has annotations, the share of people with a proposal on them is
printed.
"""

import argparse
import os
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, the method and the file."""
    parser.add_argument("--dataset", required=True, metavar="NAME", help="as in a config")
    parser.add_argument("--method", choices=["selective_search"], required=True)
    parser.add_argument(
        "--mode",
        choices=["fast", "quality"],
        default="fast",
        help="8 groupings of a photo or 80 (default: fast)",
    )
    parser.add_argument(
        "--limit", type=int, default=2000, help="the most proposals of a photo (default: 2000)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.pkl")


def run(arguments: argparse.Namespace) -> None:
    """Write the file and print what is in it."""
    # late, since --help is answered without PyTorch
    import numpy as np

    from pose_project.data import get_dataset_dicts
    from pose_project.extras.selective_search.precompute import precompute_proposals
    from pose_project.extras.selective_search.recall import proposal_recall

    photos = get_dataset_dicts(arguments.dataset, filter_empty=False)
    proposals, unreadable = precompute_proposals(
        photos, arguments.output, arguments.mode, arguments.limit, arguments.workers
    )
    for reason in unreadable:
        print(f"no proposals: {reason}")
    average = np.mean([len(boxes) for boxes in proposals])
    print(f"{len(photos)} photos, {average:.0f} proposals on average: {arguments.output}")
    limits = [each for each in (100, 500, 1000, 2000) if each < arguments.limit]
    recalls = proposal_recall(proposals, photos, [*limits, arguments.limit])
    if not np.isnan(recalls[arguments.limit]):
        print("recall of people at IoU 0.5:")
        for limit, recall in recalls.items():
            print(f"{recall:6.1f} % with at most {limit} proposals")
