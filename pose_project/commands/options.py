"""Options that several commands share, and the overrides that go anywhere among them."""

import argparse
import os
import re
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OVERRIDE = re.compile(r"[^-=/\s][^=/\s]*=.*", re.DOTALL)


def add_config_options(parser: argparse.ArgumentParser, what: str = "config of the model") -> None:
    """Add ``--config-file`` and the overrides, for :func:`read_config`."""
    parser.add_argument("--config-file", required=True, metavar="FILE", help=what)
    add_overrides(parser)


def add_model_options(
    parser: argparse.ArgumentParser, metavar: str = "key=value", what: str = ""
) -> None:
    """Add the two ways to say which model is meant, and overrides, for :func:`read_model`.

    Args:
        parser: of the command.
        metavar: of what may stand among the options beside overrides.
        what: it is, for :func:`take_paths`; "" if there are only overrides.
    """
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a name that the command models lists, or the folder of a run "
        "(default: the command models says)",
    )
    parser.add_argument("--config-file", metavar="FILE", help="config of a model of your own")
    add_weights_option(parser)
    add_overrides(parser, metavar, what)


def add_overrides(
    parser: argparse.ArgumentParser, metavar: str = "key=value", what: str = ""
) -> None:
    """Let ``key=value``, and what else a command takes, stand anywhere among the options."""
    help_ = f"{what}; and key=value, overrides of the config" if what else "overrides of the config"
    parser.add_argument("opts", nargs="*", metavar=metavar, help=help_)


def take_paths(arguments: argparse.Namespace) -> list[str]:
    """Return what stood among the options without being an override, and take it out."""
    paths = [each for each in arguments.opts if not is_override(each)]
    arguments.opts = [each for each in arguments.opts if is_override(each)]
    return paths


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--weights``, the checkpoint of a model."""
    parser.add_argument("--weights", metavar="FILE", help="its checkpoint")


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
        taken = {each for each in values if isinstance(each, str) and is_override(each)}
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


def read_model(arguments: argparse.Namespace, *overrides: str) -> tuple["DictConfig", str]:
    """Return the config and the weights of the model that the command line asks for.

    Args:
        arguments: of :func:`add_model_options`; ``config_file`` and ``weights`` are filled in.
        overrides: what the command itself sets.

    Raises:
        InputError: if there is no such model, its weights cannot be had, or half of it is given.
    """
    name, config, weights = arguments.model, arguments.config_file, arguments.weights
    if name and (config or weights):
        raise InputError("--model stands for --config-file and --weights: give one or the other")
    if bool(config) != bool(weights):
        missing = "--weights" if config else "--config-file"
        raise InputError(f"{missing} is missing; the folder of a run is a --model that has both")
    if not config:
        files = model_zoo().locate_model(name)
        arguments.config_file, arguments.weights = files.config_file, files.weights
    return read_config(arguments, *overrides), arguments.weights


def model_zoo() -> ModuleType:
    """Return what knows the models by name.

    Raises:
        InputError: if that folder of the extras was removed.
    """
    zoo = find_extra("model_zoo.locating")
    if zoo is None:
        raise InputError("models have no names here: give --config-file and --weights")
    return zoo


def is_override(text: str) -> bool:
    """Return whether a word is ``key=value`` rather than a file of that name."""
    return _OVERRIDE.fullmatch(text) is not None and not os.path.exists(text)
