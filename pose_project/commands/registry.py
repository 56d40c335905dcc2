"""All commands by name, as plain data: the modules are imported when they are asked for."""

from dataclasses import dataclass

from pose_project.utils.extras import EXTRAS, is_here


@dataclass(frozen=True)
class Command:
    """A command and where it is.

    Attributes:
        name: as it is typed.
        module: has ``add_options(parser)`` and ``run(arguments)``, see ``pose_project.commands``.
        help: what it does, in one line.
        is_bare: whether it runs before any package is installed.
    """

    name: str
    module: str
    help: str
    is_bare: bool = False


_COMMANDS = (
    Command("train", "pose_project.commands.train", "train a model from a config"),
    Command("evaluate", "pose_project.commands.evaluate", "score weights on a config's test data"),
    Command("predict", "pose_project.commands.predict", "find poses in photos and videos"),
    Command("models", f"{EXTRAS}.model_zoo.command", "list the published models by name"),
    Command(
        "visualize-data",
        f"{EXTRAS}.pictures.data_command",
        "draw what a model is trained on",
    ),
    Command(
        "visualize-predictions",
        f"{EXTRAS}.pictures.predictions_command",
        "draw what models find beside the ground truth",
    ),
    Command("doctor", f"{EXTRAS}.doctor.command", "check and correct a keypoint dataset"),
    Command("analyze", f"{EXTRAS}.report.command", "explain the errors of keypoint results"),
    Command("export", f"{EXTRAS}.export.command", "write a model as ONNX or TorchScript"),
    Command("serve", f"{EXTRAS}.serve.command", "a web page and a REST endpoint for a model"),
    Command(
        "convert-dataset",
        f"{EXTRAS}.converters.dataset_command",
        "COCO annotations to YOLO's pose format, or back",
    ),
    Command(
        "convert-weights",
        f"{EXTRAS}.model_zoo.weights_command",
        "torchvision's weights to this project's, or back",
    ),
    Command("shard", f"{EXTRAS}.shards.command", "write a dataset as tar files, or check them"),
    Command("rank", f"{EXTRAS}.labelling.rank_command", "order photos by what labels teach"),
    Command(
        "pre-annotate",
        f"{EXTRAS}.labelling.pre_annotate_command",
        "draw what a model finds for CVAT, Label Studio or YOLO tools to correct",
    ),
    Command(
        "read-corrections",
        f"{EXTRAS}.labelling.read_corrections_command",
        "read what a labelling tool exports, and count what was changed",
    ),
    Command(
        "find-label-errors",
        f"{EXTRAS}.labelling.find_label_errors_command",
        "list the labels that a model contradicts",
    ),
    Command("prepare-coco", f"{EXTRAS}.coco_download.command", "fetch and check COCO 2017"),
    Command(
        "precompute-proposals",
        f"{EXTRAS}.selective_search.command",
        "object proposals for models without an RPN",
    ),
    Command("compress-svd", f"{EXTRAS}.svd.command", "a faster box head by truncated SVD"),
    Command(
        "setup",
        f"{EXTRAS}.environment.command",
        "make an environment with everything in it",
        is_bare=True,
    ),
)


def known_commands() -> dict[str, Command]:
    """Return the commands by name; an extra whose folder was removed has none."""
    return {each.name: each for each in _COMMANDS if is_here(each.module)}
