"""Convert weights of torchvision's keypointrcnn_resnet50_fpn to this project's, or back.

    pose-project convert-weights --from torchvision --input X.pth --output Y.pth
    pose-project convert-weights --to torchvision --input Y.pth --output Z.pth

Y.pth is for configs/torchvision_keypoint_rcnn_R50_FPN.py, with train.init_checkpoint=Y.pth. Z.pth
is for keypointrcnn_resnet50_fpn(weights_backbone=None).load_state_dict(torch.load("Z.pth")). Beside
the output lies a JSON that says where it comes from. The input is read as data only.
"""

import argparse
from pathlib import Path

from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the direction and the two files."""
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


def run(arguments: argparse.Namespace) -> None:
    """Write the converted weights and their JSON."""
    source, output, bn_eps = arguments.input, arguments.output, arguments.bn_eps
    if not source.is_file():
        raise InputError(f"no weights at {source}")
    if output.suffix != ".pth":
        raise InputError(f"--output must end in .pth, got {output}")
    if output.exists() and output.samefile(source):
        raise InputError(f"--output is the input, {source}; give it a name of its own")
    if bn_eps is not None and not 0 <= bn_eps < 1:
        raise InputError(f"--bn-eps must be from 0 to 1, such as 1e-5, got {bn_eps:g}")
    # late, since --help is answered without PyTorch
    from pose_project.extras.model_zoo.weight_files import convert_file

    converted = convert_file(
        source, output, is_from_torchvision=bool(arguments.source), bn_eps=bn_eps
    )
    print(
        f"{output}: {converted['converted']} tensors converted, {converted['dropped']} counters of "
        f"BatchNorm dropped, none missing; torchvision's eps {converted['bn_eps']:g}, "
        f"{converted['rescaled_channels']} channels rescaled"
    )
