"""Files beside an exported model say what the model is, and a server reads them."""

import pytest

from pose_project.extras.export.companions import (
    labels,
    model_card,
    triton_config,
    write_companions,
)

RECORD = {
    "file": "model.onnx",
    "sha256": "ab" * 32,
    "format": "ONNX, opset 18",
    "classes": [{"name": "person"}, {"name": "dog"}],
    "keypoint_names": ["nose", "tail", "left_ear"],
    "resize": {"short_edge": 192, "max_size": 320},
    "thresholds": {"score": 0.05, "most_people": 100},
    "verified_against_pytorch": {"people": 4, "photos": 2, "keypoint_px_max": 0.00012},
    "provenance": {
        "weights_sha256": "cd" * 32,
        "git_commit": "1234",
        "config": {"dataloader": {"train": {"dataset": {"names": "mine_train"}}}},
    },
}


def test_labels_are_in_the_order_of_the_classes():
    assert labels(RECORD) == "person\ndog\n"


def test_triton_reads_its_configuration():
    """By the server's own schema; a misspelt or doubled field is an error there."""
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    config = text_format.Parse(triton_config(RECORD), schema.ModelConfig())
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 0)
    (image,) = config.input
    assert (image.name, image.data_type, list(image.dims)) == (
        "image",
        schema.TYPE_UINT8,
        [-1, -1, 3],
    )
    found = {each.name: (each.data_type, list(each.dims)) for each in config.output}
    assert found["classes"] == (schema.TYPE_INT64, [-1])
    assert found["keypoints"] == (schema.TYPE_FP32, [-1, 3, 3])
    assert list(found) == ["boxes", "scores", "classes", "keypoints"]


def test_the_card_says_what_was_measured():
    card = model_card(RECORD)
    for text in ("nose, tail, left_ear", "`mine_train`", "commit `1234`", "4 people in 2 photos"):
        assert text in card


def test_torchscript_has_no_configuration_of_triton(tmp_path):
    assert write_companions(tmp_path, {**RECORD, "file": "model.ts"}) == [
        "labels.txt",
        "model_card.md",
    ]
    assert not (tmp_path / "config.pbtxt").exists()
