"""Convert weights of torchvision's keypointrcnn_resnet50_fpn to this project's, or back.

    python tools/convert_weights.py --from torchvision --input X.pth --output Y.pth
    python tools/convert_weights.py --to torchvision --input Y.pth --output Z.pth

Y.pth is for configs/torchvision_keypoint_rcnn_R50_FPN.py, with train.init_checkpoint=Y.pth. Z.pth
is for keypointrcnn_resnet50_fpn(weights_backbone=None).load_state_dict(torch.load("Z.pth")). Beside
the output lies a JSON that says where it comes from. The input is read as data only.
"""

import argparse
import sys
from pathlib import Path

from detectron2.utils.logger import setup_logger

from pose_project.checkpoint.checkpointer import load_tensors, write_checkpoint
from pose_project.extras.converters.torchvision_weights import (
    DETECTRON2_BN_EPS,
    from_torchvision,
    to_torchvision,
)
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.provenance import sha256_of


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    direction = parser.add_mutually_exclusive_group(required=True)
    direction.add_argument("--from", dest="source", choices=["torchvision"], help="whose --input")
    direction.add_argument("--to", dest="target", choices=["torchvision"], help="for whom --output")
    parser.add_argument("--input", required=True, type=Path, metavar="FILE", help="a .pth file")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a .pth file")
    parser.add_argument(
        "--bn-eps",
        type=float,
        metavar="E",
        help="what torchvision's model adds to variances (default: with --from 0, as in COCO_V1; "
        "use 1e-5 for COCO_LEGACY and your own; with --to 1e-5, torchvision's default)",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def convert(arguments: argparse.Namespace) -> None:
    """Write the converted weights and their JSON."""
    source, output, bn_eps = arguments.input, arguments.output, arguments.bn_eps
    if not source.is_file():
        raise InputError(f"no weights at {source}")
    if output.suffix != ".pth":
        raise InputError(f"--output must end in .pth, got {output}")
    if output.exists() and output.samefile(source):
        raise InputError(f"--output is the input, {source}; give it a name of its own")
    if bn_eps is None:
        bn_eps = 0.0 if arguments.source else DETECTRON2_BN_EPS
    if not 0 <= bn_eps < 1:
        raise InputError(f"--bn-eps must be from 0 to 1, such as 1e-5, got {bn_eps:g}")
    content = load_tensors(str(source))
    weights = content.get("model", content)
    if not isinstance(weights, dict):
        raise InputError(f"{source} holds a {type(weights).__name__}, not a dict of weights")
    try:
        conversion = (from_torchvision if arguments.source else to_torchvision)(weights, bn_eps)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    counts = {
        "converted": len(conversion.weights),
        "dropped": conversion.num_dropped,
        "rescaled_channels": conversion.num_rescaled,
    }
    write_checkpoint(
        output,
        {"model": conversion.weights} if arguments.source else conversion.weights,
        {
            "conversion": {
                "from": "torchvision" if arguments.source else "pose_project",
                "to": arguments.target or "pose_project",
                "bn_eps": bn_eps,
                **counts,
            },
            "source": {"file": source.name, "sha256": sha256_of(source)},
        },
    )
    print(
        f"{output}: {counts['converted']} tensors converted, {counts['dropped']} counters of "
        f"BatchNorm dropped, none missing; torchvision's eps {bn_eps:g}, "
        f"{counts['rescaled_channels']} channels rescaled"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: convert(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
