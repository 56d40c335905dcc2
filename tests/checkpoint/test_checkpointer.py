import json
import pickle
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from helpers.repository import ROOT

from pose_project.checkpoint import PoseCheckpointer
from pose_project.checkpoint.checkpointer import load_tensors
from pose_project.config.building import build
from pose_project.engine import load_config
from pose_project.utils.errors import InputError
from pose_project.utils.provenance import sha256_of


@pytest.fixture
def checkpointer(tmp_path) -> PoseCheckpointer:
    return PoseCheckpointer(torch.nn.Linear(2, 2), str(tmp_path))


def save_three(checkpointer: PoseCheckpointer) -> None:
    for iteration in (1, 3, 5):
        checkpointer.save(f"model_{iteration:07d}", iteration=iteration)


def test_json_beside_the_weights_says_where_they_come_from(checkpointer, tmp_path):
    checkpointer.save("model_final", iteration=7, provenance={"metrics": {"AP": 1.0}})
    record = json.loads((tmp_path / "model_final.json").read_text())
    assert record["sha256"] == sha256_of(tmp_path / "model_final.pth")
    assert record["metrics"] == {"AP": 1.0}
    assert record["versions"]["torch"] == torch.__version__


def test_the_newest_is_taken(checkpointer, tmp_path):
    assert checkpointer.newest_intact() is None
    save_three(checkpointer)
    assert checkpointer.newest_intact() == tmp_path / "model_0000005.pth"


@pytest.mark.parametrize("damage", ["truncated", "one bit", "gone", "no record"])
def test_a_damaged_one_is_skipped_with_a_warning(checkpointer, tmp_path, caplog, damage):
    save_three(checkpointer)
    path = tmp_path / "model_0000005.pth"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "one bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").unlink()
    assert checkpointer.newest_intact() == tmp_path / "model_0000003.pth"
    assert "model_0000005.pth is damaged" in caplog.text


@pytest.mark.parametrize("tag", [b"", b"\x80", b"../elsewhere.pth", b"a\0b"])
def test_a_damaged_tag_is_no_hindrance(checkpointer, tmp_path, tag):
    save_three(checkpointer)
    (tmp_path / "last_checkpoint").write_bytes(tag)
    assert checkpointer.newest_intact().name == "model_0000005.pth"


def test_all_damaged(checkpointer, tmp_path):
    save_three(checkpointer)
    for path in tmp_path.glob("*.pth"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="every checkpoint"):
        checkpointer.newest_intact()


@contextmanager
def full_disk() -> Iterator[None]:
    """Files cannot grow beyond 1,000 bytes, which ends a write as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:  # before pytest writes to a file of its own
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_last_good_one(checkpointer, tmp_path):
    checkpointer.save("model_final", iteration=1)
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    with (
        pytest.raises(OSError, match=r"model_final\.pth cannot be written, \d+ MB are free"),
        full_disk(),
    ):
        checkpointer.save("model_final", iteration=2)
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"model": Trap(tmp_path / "ran")}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="could run code"):
        load_tensors(str(tmp_path / "trap.pth"))
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    with pytest.raises(InputError, match="could run code"):
        load_tensors(str(tmp_path / "bare.pth"))
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_that_unpacks_to_a_thousand_times_its_size(tmp_path):
    torch.save({"model": {"w": torch.zeros(250_000)}}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    assert (tmp_path / "bomb.pth").stat().st_size < 10_000
    with pytest.raises(InputError, match="compressed"):
        load_tensors(str(tmp_path / "bomb.pth"))


def test_something_else_than_a_dict(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds a list"):
        load_tensors(str(tmp_path / "list.pth"))


def test_bare_state_dicts_load(tmp_path):
    other = torch.nn.Linear(2, 2)
    torch.save(other.state_dict(), tmp_path / "bare.pth")
    model = torch.nn.Linear(2, 2)
    PoseCheckpointer(model).load(str(tmp_path / "bare.pth"), complete=True)
    assert torch.equal(model.weight, other.weight)


@pytest.mark.integration
def test_pretrained_regnets_fill_the_backbone(tmp_path):
    """A file of pycls: its own level, names without our prefix, counters of BatchNorm."""
    model = build(load_config(str(ROOT / "configs/keypoint_rcnn_regnety_4gf_FPN_1x.py")), "model")
    prefix = "backbone.bottom_up."
    state = {
        name.removeprefix(prefix): torch.rand_like(value)
        for name, value in model.state_dict().items()
        if name.startswith(prefix)
    }
    counters = {"stem.bn.num_batches_tracked": torch.tensor(3)}
    torch.save({"epoch": 99, "model_state": {**state, **counters}}, tmp_path / "regnet.pyth")
    PoseCheckpointer(model).load(str(tmp_path / "regnet.pyth"), checkpointables=[])
    loaded = model.state_dict()
    assert all(torch.equal(loaded[prefix + name], value) for name, value in state.items())
    torch.save({"model": state}, tmp_path / "other.pyth")
    with pytest.raises(InputError, match=r"other\.pyth is not of pycls"):
        PoseCheckpointer(model).load(str(tmp_path / "other.pyth"))
