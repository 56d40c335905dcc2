"""What lies beside an exported model: labels, a model card, the configuration of Triton."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pose_project.utils.files import write_text_atomic

LABELS, CARD, TRITON = "labels.txt", "model_card.md", "config.pbtxt"
_TRITON_BACKENDS = {"model.onnx": "onnxruntime"}  # a trace returns four tensors without names


def write_companions(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Write the files that go with an exported model and return their names.

    Args:
        folder: of the model.
        record: the content of its ``model.json``.
    """
    texts = {LABELS: labels(record), CARD: model_card(record)}
    if record["file"] in _TRITON_BACKENDS:
        texts[TRITON] = triton_config(record)
    for name, text in texts.items():
        write_text_atomic(folder / name, text)
    return list(texts)


def labels(record: Mapping[str, Any]) -> str:
    """Return a line for each class, in the order of the output ``classes``."""
    return "".join(f"{each['name']}\n" for each in record["classes"])


def triton_config(record: Mapping[str, Any]) -> str:
    """Return ``config.pbtxt`` of NVIDIA's Triton Inference Server, on the CPU.

    The server takes the model's name from its folder, and the file from the sub-folder ``1``.
    """
    num_keypoints = len(record["keypoint_names"])
    outputs = {
        "boxes": ("TYPE_FP32", "-1, 4"),
        "scores": ("TYPE_FP32", "-1"),
        "classes": ("TYPE_INT64", "-1"),
        "keypoints": ("TYPE_FP32", f"-1, {num_keypoints}, 3"),
    }
    described = ",\n".join(
        f'  {{ name: "{name}" data_type: {kind} dims: [ {dims} ] }}'
        for name, (kind, dims) in outputs.items()
    )
    return (
        f'backend: "{_TRITON_BACKENDS[record["file"]]}"\n'
        "# one photo at a time: photos have any size, so that they do not make a batch\n"
        "max_batch_size: 0\n"
        'input [ { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] } ]\n'
        f"output [\n{described}\n]\n"
        "instance_group [ { kind: KIND_CPU count: 1 } ]\n"
    )


def model_card(record: Mapping[str, Any]) -> str:
    """Return what a person should know before using the model, as Markdown."""
    origin, limits = record["provenance"], record["thresholds"]
    dataset = origin["config"]["dataloader"]["train"]["dataset"]["names"]
    names = [dataset] if isinstance(dataset, str) else dataset
    resize, verified = record["resize"], record["verified_against_pytorch"]
    classes = ", ".join(each["name"] for each in record["classes"])
    commit = origin["git_commit"] or "unknown"
    longest = resize["max_size"] if resize["max_size"] < 2**31 - 1 else "any length"
    return (
        f"# {record['file']}\n\n"
        f"Keypoint R-CNN, {record['format']}. Finds {classes} in a photo, with "
        f"{len(record['keypoint_names'])} keypoints each.\n\n"
        "| | |\n|---|---|\n"
        f"| sha256 | `{record['sha256']}` |\n"
        f"| trained on | {', '.join(f'`{name}`' for name in names)}, as its config says |\n"
        f"| weights | sha256 `{origin['weights_sha256']}` |\n"
        f"| made by | pose_project, commit `{commit}` |\n"
        f"| input | one photo of any size, BGR, uint8; resized inside to {resize['short_edge']} "
        f"pixels on its shorter side, at most {longest} on the longer one |\n"
        f"| people | score from {limits['score']}, at most {limits['most_people']} |\n"
        f"| keypoints | {', '.join(record['keypoint_names'])} |\n"
        f"| against PyTorch | {verified['people']} people in {verified['photos']} photos, "
        f"keypoints within {verified['keypoint_px_max']:.2g} px |\n\n"
        "The name of a dataset says what the model has seen. It has not been tried on anything "
        "else, unless somebody did so and wrote it here: try it on photos of your own with "
        "`pose-project export --compare` for speed and agreement, and with `pose-project analyze` "
        "for accuracy. A keypoint's score is not a probability. Whoever passes the model on also "
        "passes on the conditions of the photos that it was trained on.\n"
    )
