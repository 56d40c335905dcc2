"""All commands by name, as plain data: the modules are imported when they are asked for."""

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType

_EXTRAS = "pose_project.extras"


@dataclass(frozen=True)
class Command:
    """A command and where it is.

    Attributes:
        name: as it is typed.
        module: has ``add_options(parser)`` and ``run(arguments)``, see ``pose_project.commands``.
        help: what it does, in one line.
    """

    name: str
    module: str
    help: str


_COMMANDS = (
    Command("train", "pose_project.commands.train", "train a model from a config"),
    Command("evaluate", "pose_project.commands.evaluate", "score weights on a config's test data"),
    Command("predict", "pose_project.commands.predict", "find poses in photos and videos"),
    Command(
        "visualize-data",
        "pose_project.commands.visualize_data",
        "draw what a model is trained on",
    ),
    Command(
        "visualize-predictions",
        "pose_project.commands.visualize_predictions",
        "draw what models find beside the ground truth",
    ),
    Command("doctor", f"{_EXTRAS}.doctor.command", "check and correct a keypoint dataset"),
    Command("analyze", f"{_EXTRAS}.report.command", "explain the errors of keypoint results"),
    Command("export", f"{_EXTRAS}.export.command", "write a model as ONNX or TorchScript"),
    Command("serve", f"{_EXTRAS}.serve.command", "a web page and a REST endpoint for a model"),
    Command(
        "convert-dataset",
        f"{_EXTRAS}.converters.dataset_command",
        "COCO annotations to YOLO's pose format, or back",
    ),
    Command(
        "convert-weights",
        f"{_EXTRAS}.model_zoo.weights_command",
        "torchvision's weights to this project's, or back",
    ),
    Command("prepare-coco", f"{_EXTRAS}.coco_download.command", "fetch and check COCO 2017"),
    Command(
        "precompute-proposals",
        f"{_EXTRAS}.selective_search.command",
        "object proposals for models without an RPN",
    ),
    Command("compress-svd", f"{_EXTRAS}.svd.command", "a faster box head by truncated SVD"),
)


def known_commands() -> dict[str, Command]:
    """Return the commands by name; an extra whose folder was removed has none."""
    return {each.name: each for each in _COMMANDS if _is_here(each.module)}


def find_extra(module: str) -> ModuleType | None:
    """Return a module of an extra, such as ``doctor.examination``; None if it was removed."""
    name = f"{_EXTRAS}.{module}"
    return importlib.import_module(name) if _is_here(name) else None


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the folder that would hold it is not there
        return False
