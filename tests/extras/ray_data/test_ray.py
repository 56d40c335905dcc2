"""On a Ray cluster of two CPUs: the poses of one process, also when an actor is killed."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.repository import ROOT
from helpers.runs import CONFIG, EVERYTHING

ray = pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("ray.data")

from pose_project.commands.command_line import main  # noqa: E402
from pose_project.config.loading import load_config  # noqa: E402
from pose_project.extras.ray_data.batches import PosesOfBatch  # noqa: E402
from pose_project.extras.ray_data.engine import run_with_ray  # noqa: E402
from pose_project.inference.folder import Outputs, predict_into  # noqa: E402
from pose_project.inference.predictor import PosePredictor  # noqa: E402
from pose_project.inference.sources import find_sources  # noqa: E402
from pose_project.utils.errors import InputError  # noqa: E402

MODEL = str(ROOT / CONFIG)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    variables = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": variables},
    )
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors do not know tests
    yield
    ray.shutdown()


@pytest.fixture
def folder(photos, tmp_path) -> Path:
    for number in range(6):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.roll(photos[number % len(photos)], 5 * number, axis=1))
    return tmp_path / "photos"


def predict(folder: Path, output: Path, weights: Path, engine: Any = None) -> list[dict]:
    cfg = load_config(MODEL, EVERYTHING)
    outputs = Outputs(output, False, True, False, 0.5, 0.05, None)
    predict_into(outputs, find_sources([str(folder)], output), cfg, str(weights), 1, engine)
    return json.loads((output / "results.json").read_text())


def killed_once(make_worker: Callable, marker: Path, log: Path) -> Callable[[Sequence], None]:
    """Return a worker whose process is killed in the midst of its second piece of work."""
    work, pieces = make_worker(), []

    def work_or_die(items: Sequence) -> None:
        pieces.append(items)
        if len(pieces) == 2 and not marker.exists():
            marker.touch()
            work(items[:1])  # half of it is done
            os.kill(os.getpid(), signal.SIGKILL)
        work(items)
        with open(log, "a") as stream:
            stream.write(f"{os.getpid()} {len(items)}\n")

    return work_or_die


@pytest.mark.integration
def test_a_killed_actor_loses_and_doubles_nothing(cluster, folder, weights, tmp_path, capsys):
    expected = predict(folder, tmp_path / "one", weights)
    marker, log = tmp_path / "marker", tmp_path / "log"

    def engine(make_worker: Callable, items: Sequence, at_once: int) -> None:
        del at_once
        run_with_ray(partial(killed_once, make_worker, marker, log), items, 2, actors=1)

    assert predict(folder, tmp_path / "ray", weights, engine) == expected
    assert len(expected) > 6 and marker.exists()
    done = [line.split() for line in log.read_text().splitlines()]
    assert len({process for process, _ in done}) == 2  # the second is another process
    printed = [line for line in capsys.readouterr().out.splitlines() if "detections" in line]
    assert len(printed) == 2 and printed[0].partition(";")[0] == printed[1].partition(";")[0]
    parts = [sorted((tmp_path / run / "parts").glob("*.json")) for run in ("one", "ray")]
    for one, other in zip(*parts, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.integration
def test_rows_of_map_batches_are_the_predictors(cluster, folder, weights, tmp_path):
    (folder / "7.png").write_bytes(b"not a photo")
    ray.data.read_binary_files(str(folder), include_paths=True).map_batches(
        PosesOfBatch,
        fn_constructor_args=(MODEL, str(weights), EVERYTHING),
        batch_size=2,
        concurrency=1,
    ).write_parquet(str(tmp_path / "rows"))
    rows = ray.data.read_parquet(str(tmp_path / "rows")).take_all()
    assert sorted(Path(row["path"]).name for row in rows) == [f"{n}.png" for n in (*range(6), 7)]
    predictor = PosePredictor.from_files(MODEL, str(weights), EVERYTHING)
    for row in rows:
        assert (row["problem"] != "") == row["path"].endswith("7.png")
        if not row["problem"]:
            (poses,) = predictor.predict([cv2.imread(row["path"])])
            assert (row["height"], row["width"]) == poses.image_size_hw
            np.testing.assert_allclose(np.stack(row["boxes"]), poses.boxes, atol=1e-3)
            found = np.stack(row["keypoints"]).reshape(poses.keypoints.shape)
            np.testing.assert_allclose(found, poses.keypoints, atol=1e-3)


@pytest.mark.integration
def test_errors_of_actors_are_ours(cluster):
    def make_worker() -> Callable:
        def refuse(items: Sequence) -> None:
            raise InputError(f"{items[0]} is wrong")

        return refuse

    with pytest.raises(InputError, match="shard-3.tar is wrong"):
        run_with_ray(make_worker, ["shard-3.tar"], 1, actors=1)


def test_options(capsys, tmp_path):
    for more, message in [
        (["--engine", "ray"], "--engine needs --output"),
        (["--actors", "2", "--output", str(tmp_path)], "--actors must be at least 1"),
        (["--engine", "ray", "--actors", "0", "--output", str(tmp_path)], "--actors must be at"),
    ]:
        assert main(["predict", "photo.jpg", *more]) == 2
        assert message in capsys.readouterr().err
