"""Estimate images per second and hours of a schedule on several GPUs.

    python tools/scaling.py --config-file configs/keypoint_rcnn_R50_FPN_46ep.py --image-seconds S

S is what one photo of training takes on one GPU: the "time" of metrics.json over the batch size.
The model of communication is that of benchmarks/scaling.py.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks is not installed

from pose_project.commands.options import add_config_options, parse, read_config
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError

COCO_PHOTOS = 56_599  # of train2017 with a labelled keypoint


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser, "the schedule")
    parser.add_argument("--image-seconds", required=True, type=float, metavar="S", help="see above")
    parser.add_argument("--photos", type=int, default=COCO_PHOTOS, help="default: COCO's 56,599")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2, 4, 8, 16], metavar="N")
    parser.add_argument(
        "--bandwidth", type=float, default=10, metavar="GB/S", help="between GPUs (default: 10)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Print the table."""
    for name in ("image_seconds", "photos", "bandwidth"):
        if not getattr(arguments, name) > 0:
            raise InputError(f"--{name.replace('_', '-')} must be positive")
    # late, since --help is answered without PyTorch
    from detectron2.config import instantiate
    from tabulate import tabulate

    from benchmarks.scaling import estimate

    cfg = read_config(arguments)
    batch = cfg.dataloader.train.total_batch_size
    wrong = [gpus for gpus in arguments.gpus if gpus < 1 or batch % gpus]
    if wrong:
        raise InputError(f"{wrong[0]} GPUs cannot share batches of {batch} photos")
    iterations = cfg.train.max_iter or round(cfg.train.epochs * (arguments.photos // batch))
    model = instantiate(cfg.model)
    parameters = sum(each.numel() for each in model.parameters() if each.requires_grad)
    rows = [
        estimate(
            arguments.image_seconds, batch, iterations, parameters, gpus, arguments.bandwidth * 1e9
        )
        for gpus in arguments.gpus
    ]
    print(
        f"{iterations:,} iterations of {batch} photos, {parameters / 1e6:.1f} million trained "
        f"parameters, {arguments.bandwidth:g} GB/s between GPUs"
    )
    table = [
        (r.gpus, r.iteration_s, r.images_per_s, r.hours, f"{100 * r.efficiency:.0f} %")
        for r in rows
    ]
    headers = ["GPUs", "s / iteration", "images / s", "hours", "efficiency"]
    formats = ("d", ".3f", ".1f", ".1f", "")
    print(tabulate(table, headers, tablefmt="github", floatfmt=formats))


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = parse(get_parser(), sys.argv[1:] if argv is None else argv)
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
