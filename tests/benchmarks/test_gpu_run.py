"""The command for a GPU, rehearsed on a CPU: every part runs, and each ends up on the page."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.repository import ROOT, load_tool
from omegaconf import DictConfig

from benchmarks import decoding_speed, gpu_counts, gpu_run, inference_speed, train_speed
from benchmarks.gpu_report import write_gpu_report
from benchmarks.gpu_run import PARTS, PartError, Setup
from pose_project.utils.errors import InputError

pytestmark = pytest.mark.integration


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured on a GPU, at the smallest size; compiling and float16 are left to it."""
    tiny = {"sides": (96,), "batches": (1,)}
    looks = [each for each in inference_speed._ON_A_GPU if "ompile" not in str(each.switches)]
    looks = [dataclasses.replace(each, people=(2,), **tiny) for each in looks[-3:-1]]
    steps = [each for each in train_speed._ON_A_GPU if not each.peer_amp]
    monkeypatch.setattr(inference_speed, "_ON_A_CPU", looks)
    monkeypatch.setattr(
        train_speed, "_ON_A_CPU", [dataclasses.replace(each, **tiny) for each in steps]
    )
    monkeypatch.setattr(decoding_speed, "_CASES", {"noise": ("noise", 20, 50, (1, 2))})
    monkeypatch.setattr(gpu_counts, "_WARM_UPS", 0)
    for module in (gpu_counts, train_speed):
        for name in ("our_config", "stock_config"):
            config_of = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *a, of=config_of: with_few_proposals(of(*a)))
    # the package has a function of the module's name
    monkeypatch.setattr(sys.modules["benchmarks.compare"], "_MIN_RUNS", 1)


def with_few_proposals(model: DictConfig) -> DictConfig:
    model.proposal_generator.post_nms_topk = (20, 20)
    model.roi_heads.batch_size_per_image = 8
    return model


def record_of(part: str, work: Path) -> dict:
    """Run a part here; return its last record."""
    *_, record = PARTS[part](Setup("cpu", work, is_small=True))
    return record


def test_the_page_is_that_of_the_file(tmp_path):
    page = tmp_path / "gpu.md"
    write_gpu_report(ROOT / "docs/gpu.json", page)
    assert page.read_text() == (ROOT / "docs/gpu.md").read_text()


@pytest.mark.integration
def test_counts_and_benchmark(small, tmp_path):
    counts, benchmark = (record_of(each, tmp_path) for each in ("counts", "benchmark"))
    whos = {each["who"] for each in counts["rows"]}
    assert {"ours", "detectron2"} < whos
    tasks = {each["task"] for each in benchmark["comparisons"]}
    assert tasks == {"measure_decoding", "measure_inference", "measure_training"}
    parts = {
        name: {"status": "passed", "seconds": 1, "record": record}
        for name, record in (("counts", counts), ("benchmark", benchmark))
    }
    result = {"device": "none", "driver": None, "versions": {}, "parts": parts}
    (tmp_path / "gpu.json").write_text(json.dumps(result))
    write_gpu_report(tmp_path / "gpu.json", tmp_path / "gpu.md")
    page = (tmp_path / "gpu.md").read_text()
    assert "not measured" in page  # a CPU has nothing to wait for
    assert "| cuda_graphs=False" in page and "### A training step" in page


@pytest.mark.integration
def test_the_whole_command(tmp_path):
    """Trainings, resume and accuracy in processes of their own, one of them stopped."""
    output, page = tmp_path / "gpu.json", tmp_path / "gpu.md"
    command = [sys.executable, "tools/gpu.py", "--device", "cpu", "--small", "--json", str(output)]
    command += ["--work", str(tmp_path / "work"), "--report", str(page)]
    parts = ["tests", "resume", "demo", "accuracy", "r50"]
    subprocess.run([*command, "--parts", *parts], cwd=ROOT, check=True)
    stopped = [*command, "--parts", "benchmark", "--part-seconds", "3"]
    assert subprocess.run(stopped, cwd=ROOT).returncode == 1
    record = json.loads(output.read_text())["parts"]
    assert [record[each]["status"] for each in parts] == ["passed"] * len(parts)
    assert record["benchmark"]["status"] == "stopped after 3 s"
    assert record["resume"]["record"]["losses_apart"] == 0  # on a CPU to the bit
    text = page.read_text()
    assert all(f"| {each}" in text for each in (*parts, "benchmark"))
    assert "### AP of the demo's model" in text and "R50-FPN from scratch" in text


def test_a_part_that_fails_is_told(tmp_path, monkeypatch):
    def fails(setup: Setup):
        yield {"rows": [1]}
        raise PartError("as planned")

    tool = load_tool("gpu")
    monkeypatch.setitem(gpu_run.PARTS, "counts", fails)
    output = tmp_path / "counts.json"
    command = ["--device", "cpu", "--parts", "counts", "--child", str(output)]
    assert tool.main([*command, "--work", str(tmp_path)]) == 1
    assert json.loads(output.read_text()) == {"rows": [1], "error": "as planned"}


def test_wrong_input(tmp_path, capsys):
    tool = load_tool("gpu")
    assert list(gpu_run.PARTS) == list(tool.PARTS)  # which the tool knows without importing them
    assert tool.main(["--device", "cpu"]) == 2
    assert "give --json" in capsys.readouterr().err
    (tmp_path / "other.json").write_text('{"device": "another", "parts": {}}')
    assert tool.main(["--device", "cpu", "--json", str(tmp_path / "other.json")]) == 2
    assert "is of another device, another" in capsys.readouterr().err
    with pytest.raises(InputError, match="not a result of tools/gpu.py"):
        write_gpu_report(tmp_path / "other.json", tmp_path / "page.md")
    if not torch.cuda.is_available():
        assert tool.main(["--json", str(tmp_path / "gpu.json")]) == 2
        assert "no CUDA device" in capsys.readouterr().err
