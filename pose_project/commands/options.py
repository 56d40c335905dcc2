"""Options that several commands share, and the overrides that go anywhere among them."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pose_project.utils.errors import InputError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OVERRIDE = re.compile(r"[^-=/\s][^=/\s]*=.*", re.DOTALL)


def add_config_options(parser: argparse.ArgumentParser, what: str = "config of the model") -> None:
    """Add ``--config-file`` and the overrides, for :func:`read_config`."""
    parser.add_argument("--config-file", required=True, metavar="FILE", help=what)
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Let ``key=value`` stand anywhere among the options."""
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")


def add_weights_option(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--weights``, the checkpoint of a model; it may come from the config if not required."""
    default = "" if required else " (default: train.init_checkpoint)"
    parser.add_argument(
        "--weights", required=required, metavar="FILE", help=f"checkpoint of the model{default}"
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, where a model runs."""
    parser.add_argument(
        "--device", metavar="NAME", help="such as cpu or cuda:1 (default: train.device)"
    )


def add_threshold_options(parser: argparse.ArgumentParser) -> None:
    """Add the scores from which on people and keypoints are drawn."""
    parser.add_argument(
        "--score-threshold", type=float, default=0.5, help="of people drawn, 0 to 1 (default: 0.5)"
    )
    parser.add_argument(
        "--keypoint-threshold",
        type=float,
        default=0.05,
        help="of keypoints drawn, 0 to 1 (default: 0.05)",
    )


def check_thresholds(arguments: argparse.Namespace) -> None:
    """Raise ``InputError`` for thresholds out of range."""
    for name in ("score_threshold", "keypoint_threshold"):
        value = getattr(arguments, name)
        if not 0 <= value <= 1:
            raise InputError(f"--{name.replace('_', '-')} must be in 0 to 1, got {value}")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Return the options and, as ``opts``, the overrides of a command line, in any order.

    An option with several values, such as ``--input``, leaves ``key=value`` to the overrides. A
    file whose name looks like one is meant if it exists, or is written as ``./a=b.jpg``.
    """
    argv = list(argv)
    arguments = parser.parse_intermixed_args(argv)
    if not hasattr(arguments, "opts"):
        return arguments
    overrides = set(arguments.opts)
    for name, values in vars(arguments).items():
        if name == "opts" or not isinstance(values, list):
            continue
        taken = {each for each in values if isinstance(each, str) and _is_override(each)}
        if taken:
            overrides |= taken
            values[:] = [each for each in values if each not in taken]
            if not values:
                parser.error(f"argument --{name.replace('_', '-')}: expected at least one argument")
    # of two overrides of a key the later one counts
    arguments.opts = [each for each in argv if each in overrides]
    return arguments


def read_config(arguments: argparse.Namespace, *overrides: str) -> "DictConfig":
    """Return the config that the command line asks for.

    Args:
        arguments: of :func:`add_config_options` and, if it was asked for, of
            :func:`add_device_option`.
        overrides: what the command itself sets, which nobody else can.

    Raises:
        InputError: if the config or an override is wrong, see ``load_config``.
    """
    # late, since --help is answered without PyTorch
    from pose_project.config.loading import load_config

    cfg = load_config(arguments.config_file, [*arguments.opts, *overrides])
    if getattr(arguments, "device", None):
        cfg.train.device = arguments.device
    return cfg


def _is_override(text: str) -> bool:
    return _OVERRIDE.fullmatch(text) is not None and not os.path.exists(text)
