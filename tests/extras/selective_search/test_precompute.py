import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.repository import ROOT

from pose_project.extras.selective_search import precompute as module
from pose_project.extras.selective_search.precompute import precompute_proposals
from pose_project.extras.selective_search.proposal_files import add_proposals
from pose_project.extras.selective_search.search import selective_search
from pose_project.utils.errors import InputError

pytest.importorskip("skimage", reason="selective search needs scikit-image")


def test_the_file_holds_what_selective_search_returns(photos, tmp_path):
    output = tmp_path / "out" / "proposals.pkl"
    proposals, unreadable = precompute_proposals(photos, output, limit=12)
    assert not unreadable and [len(boxes) for boxes in proposals] == [12, 12, 12]
    for photo, boxes in zip(add_proposals(photos, output, "shapes"), proposals, strict=True):
        image = module.read_photo(dict(photo), "BGR")
        np.testing.assert_array_equal(boxes, selective_search(image, limit=12))
        np.testing.assert_array_equal(photo["proposal_boxes"], boxes)
    assert [path.name for path in output.parent.iterdir()] == ["proposals.pkl"]


def test_an_interrupted_run_goes_on(photos, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole.pkl", tmp_path / "broken.pkl"
    precompute_proposals(photos, whole)
    made = []

    def search(*arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(selective_search(*arguments))
        return made[-1]

    monkeypatch.setattr(module, "selective_search", search)
    with pytest.raises(KeyboardInterrupt):
        precompute_proposals(photos, broken)
    assert not broken.exists()
    made.pop()  # room for one: the two of before are not made again
    precompute_proposals(photos, broken)
    assert broken.read_bytes() == whole.read_bytes()
    assert not broken.with_name("broken.pkl.parts").exists()


def test_parts_of_other_settings_are_refused(photos, tmp_path, monkeypatch):
    output = tmp_path / "proposals.pkl"
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_proposal_file", lambda *_: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            precompute_proposals(photos, output, limit=5)
    for changed, other in (({"limit": 6}, "limit;"), ({"limit": 5, "mode": "quality"}, ".*mode")):
        with pytest.raises(InputError, match=f"pkl.parts holds parts of a run with other {other}"):
            precompute_proposals(photos, output, **changed)
    with pytest.raises(InputError, match="other photos;"):
        precompute_proposals(photos[1:], output, limit=5)
    precompute_proposals(photos, output, limit=5)


def test_unreadable_photos_have_no_proposals(photos, tmp_path):
    Path(photos[0]["file_name"]).write_bytes(b"no photo")
    photos[2]["height"] = 91
    output = tmp_path / "proposals.pkl"
    proposals, unreadable = precompute_proposals(photos, output)
    assert [len(boxes) > 0 for boxes in proposals] == [False, True, False]
    assert len(unreadable) == 2 and "7.png" in unreadable[0] and "9.png" in unreadable[1]
    assert add_proposals(photos, output, "shapes")[0]["proposal_boxes"].shape == (0, 4)


def test_an_output_that_is_there_is_kept(photos, tmp_path):
    output = tmp_path / "proposals.pkl"
    output.write_text("mine")
    with pytest.raises(InputError, match="is already there"):
        precompute_proposals(photos, output)
    assert output.read_text() == "mine"


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"workers": 0}])
def test_numbers_below_one(photos, tmp_path, wrong):
    with pytest.raises(InputError, match="must be at least 1"):
        precompute_proposals(photos, tmp_path / "proposals.pkl", **wrong)
    assert list(tmp_path.iterdir()) == [tmp_path / "photos"]


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_killed_with_two_workers(tmp_path):
    """SIGKILL to the tool: its workers end too; the next run ends with the same bytes."""
    tool = [sys.executable, str(ROOT / "tools/precompute_proposals.py")]
    tool += ["--dataset", "synthetic_demo_val_20", "--method", "selective_search"]
    whole, broken = tmp_path / "whole.pkl", tmp_path / "broken.pkl"
    run = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT)}, "check": True}
    subprocess.run([*tool, "--workers", "1", "--output", str(whole)], **run)
    process = subprocess.Popen(
        [*tool, "--workers", "2", "--output", str(broken)], cwd=ROOT, env=run["env"]
    )
    parts = broken.with_name("broken.pkl.parts")
    deadline = time.monotonic() + 120
    while len(list(parts.glob("0*.npy"))) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{each}").exists() for each in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not broken.exists() and len(list(parts.glob("0*.npy"))) < 20
    subprocess.run([*tool, "--workers", "2", "--output", str(broken)], **run)
    assert broken.read_bytes() == whole.read_bytes()
