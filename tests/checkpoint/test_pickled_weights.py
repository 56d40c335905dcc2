import collections
import pickle

import numpy as np
import pytest
from detectron2 import model_zoo
from detectron2.config import instantiate
from detectron2.modeling import build_model
from helpers.repository import ROOT

from pose_project.checkpoint import PoseCheckpointer
from pose_project.checkpoint.pickled_weights import load_pickled_weights
from pose_project.engine import load_config
from pose_project.utils.errors import InputError

WEIGHTS = {"conv1_w": np.arange(6, dtype=np.float32).reshape(2, 3), "lr": np.float64(0.1)}


def write(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return str(path)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("level", [None, "blobs", "model"])
def test_caffe2_files_with_and_without_a_level(tmp_path, protocol, level):
    content = {**WEIGHTS, "conv1_w_momentum": np.zeros(3)}
    path = write(tmp_path / "R-50.pkl", {level: content} if level else content, protocol)
    loaded = load_pickled_weights(path)
    assert loaded["matching_heuristics"] and loaded["__author__"] == "Caffe2"
    assert loaded["model"].keys() == WEIGHTS.keys()
    np.testing.assert_array_equal(loaded["model"]["conv1_w"], WEIGHTS["conv1_w"])


def test_a_pickle_of_python_2(tmp_path):
    """Written by hand as Python 2 does: byte strings, and NumPy under its old module name."""
    raw = WEIGHTS["conv1_w"].tobytes()
    content = (
        b"\x80\x02}U\x07conv1_w"
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(raw)])
        + raw
        + b"tbs."
    )
    (tmp_path / "old.pkl").write_bytes(content)
    loaded = load_pickled_weights(str(tmp_path / "old.pkl"))
    np.testing.assert_array_equal(loaded["model"]["conv1_w"], WEIGHTS["conv1_w"])


def test_ordered_dicts_and_bytes(tmp_path):
    content = collections.OrderedDict(model=WEIGHTS, __author__="me", note=b"\xff")
    assert load_pickled_weights(write(tmp_path / "a.pkl", content))["note"] == b"\xff"


@pytest.mark.parametrize("protocol", range(6))
def test_empty_arrays(tmp_path, protocol):
    path = write(
        tmp_path / "a.pkl", {"model": {"w": np.zeros((0, 4))}, "__author__": "me"}, protocol
    )
    assert load_pickled_weights(path)["model"]["w"].shape == (0, 4)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(6))
def test_a_trap_is_refused_by_name_and_not_run(tmp_path, protocol):
    path = write(tmp_path / "trap.pkl", {"model": Trap(tmp_path / "ran")}, protocol)
    with pytest.raises(
        InputError, match=r"trap.pkl is refused: it holds (_?io|__builtin__|builtins).open"
    ):
        load_pickled_weights(path)
    assert not (tmp_path / "ran").exists()


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
MUCH = b"J\x00\xca\x9a\x3b"  # the number 1,000,000,000


@pytest.mark.parametrize(
    ("bomb", "what"),
    [
        (RECONSTRUCT + NDARRAY + MUCH + b"\x85U\x01d\x87R.", "an array that is made of nothing"),
        (NDARRAY + MUCH + b"\x85\x85R.", "a call of numpy.ndarray"),
        (
            b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x0bV1000000000\x85RU\x00\x86R.",
            "a number that is made of nothing",
        ),
        (b"]r\x00\xca\x9a\x3b.", "object number 1000000000"),
    ],
    ids=["array", "ndarray", "scalar", "memo"],
)
def test_a_few_bytes_that_would_fill_the_memory(tmp_path, bomb, what):
    (tmp_path / "bomb.pkl").write_bytes(b"\x80\x02" + bomb)
    with pytest.raises(InputError, match=f"refused: it holds {what}"):
        load_pickled_weights(str(tmp_path / "bomb.pkl"))


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(WEIGHTS)[:-20]])
def test_damaged_files(tmp_path, content):
    (tmp_path / "damaged.pkl").write_bytes(content)
    with pytest.raises(InputError, match="damaged.pkl"):
        load_pickled_weights(str(tmp_path / "damaged.pkl"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([1], "a list"),
        ({"blobs": None}, "a NoneType"),
        ({"model": 3, "__author__": "me"}, "a int"),
        ({1: 2}, "a dict"),
    ],
)
def test_no_dict_of_weights(tmp_path, content, what):
    with pytest.raises(InputError, match=f"holds {what}, not a dict of weights"):
        load_pickled_weights(write(tmp_path / "other.pkl", content))


@pytest.mark.parametrize(
    ("config", "stock"),
    [
        ("configs/keypoint_rcnn_R50_FPN_1x.py", "keypoint_rcnn_R_50_FPN_1x.yaml"),
        pytest.param(
            "configs/keypoint_rcnn_R101_FPN_3x.py",
            "keypoint_rcnn_R_101_FPN_3x.yaml",
            marks=pytest.mark.integration,
        ),
        pytest.param(
            "configs/keypoint_rcnn_X101_FPN_3x.py",
            "keypoint_rcnn_X_101_32x8d_FPN_3x.yaml",
            marks=pytest.mark.integration,
        ),
    ],
)
def test_model_zoo_weights_fill_our_models_completely(tmp_path, config, stock):
    """Stock models with random weights, saved as the zoo does; 1x and 3x differ in nothing here."""
    cfg = model_zoo.get_config(f"COCO-Keypoints/{stock}")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    stock_model = build_model(cfg)
    expected = {name: value.numpy() for name, value in stock_model.state_dict().items()}
    path = write(tmp_path / "model_final.pkl", {"model": expected, "__author__": "zoo"}, 4)
    model = instantiate(load_config(str(ROOT / config)).model)
    PoseCheckpointer(model).load(path, complete=True)
    actual = model.state_dict()
    assert actual.keys() == expected.keys()
    assert all(np.array_equal(actual[name].numpy(), expected[name]) for name in expected)
    trained = [
        {name for name, parameter in each.named_parameters() if parameter.requires_grad}
        for each in (model, stock_model)
    ]
    assert trained[0] == trained[1]
