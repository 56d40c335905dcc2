"""Photos without a folder to write into: drawn beside themselves, told, printed as JSON."""

import json
import re
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.repository import ROOT
from helpers.runs import CONFIG, EVERYTHING

from pose_project.commands.command_line import main
from pose_project.extras.video.camera import CameraReader
from pose_project.inference import PosePredictor
from pose_project.inference.sources import find_camera, find_sources
from pose_project.utils.errors import InputError


@pytest.fixture
def album(photos, tmp_path, monkeypatch) -> Path:
    """Three photos in the current folder, of which one cannot be read."""
    folder = tmp_path / "album"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), photos[0])
    cv2.imwrite(str(folder / "b.webp"), photos[1])
    (folder / "torn.jpg").write_bytes(b"no photo")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def predict(weights):
    config = str(ROOT / CONFIG)

    def run(*arguments: str) -> int:
        model = ["--config-file", config, "--weights", str(weights)]
        return main(["predict", *arguments, *model, *EVERYTHING])

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_photo_is_drawn_beside_itself_and_told(album, predict, capsys):
    assert predict("a.png", "--score-threshold", "0") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"a.png: 8 found; drawn in {album / 'a_poses.png'}"
    assert lines[1].split() == ["person", "score", "keypoints", "x0", "y0", "x1", "y1"]
    assert len(lines) == 3 + 8 and " of 17 " in lines[3]
    assert names(album) == {"a.png", "b.webp", "torn.jpg", "a_poses.png"}
    drawn = cv2.imread("a_poses.png")
    assert drawn.shape == (120, 160, 3) and (drawn != cv2.imread("a.png")).any()


def test_who_is_below_the_threshold_is_counted(album, predict, capsys):
    assert predict("a.png", "--no-draw") == 0
    assert predict("a.png", "--no-draw", "--score-threshold", "1") == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("a.png")]
    counts = [[int(word) for word in re.findall(r"(\d+) (?:found|more)", line)] for line in heads]
    assert [sum(each) for each in counts] == [8, 8] and counts[1][0] < 8
    assert heads[1].endswith("more below 1")
    assert names(album) == {"a.png", "b.webp", "torn.jpg"}


def test_a_folder_twice_leaves_the_drawings_out(album, predict, capsys, caplog):
    assert predict(".") == 0
    assert "not read: " in capsys.readouterr().err
    made = names(album)
    assert made == {"a.png", "b.webp", "torn.jpg", "a_poses.png", "b.webp_poses.png"}
    with caplog.at_level("INFO"):
        found = find_sources(["."], None)
    assert [each.name for each in found] == ["a.png", "b.webp", "torn.jpg"]
    assert "2 drawn earlier" in caplog.text
    assert [each.name for each in find_sources(["*.png"], None)] == ["a.png"]
    assert len(find_sources(["a_poses.png"], None)) == 1, "unless it is named itself"
    Path("a.png").unlink()
    assert "a_poses.png" in {each.name for each in find_sources(["."], None)}


def test_json_on_the_standard_output(album, predict, weights, capsys):
    assert predict("a.png", "b.webp", "--json", "-", "--no-draw") == 0
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert [each["file_name"] for each in content["images"]] == ["a.png", "b.webp"]
    assert content["categories"][0]["name"] == "person"
    assert "a.png: " in captured.err
    predictor = PosePredictor.from_files(str(ROOT / CONFIG), str(weights), EVERYTHING)
    alone = predictor(cv2.imread("a.png")).to_coco(1)
    assert [each for each in content["results"] if each["image_id"] == 1] == alone


def test_json_in_a_file(album, predict):
    assert predict("a.png", "--json", "found.json") == 0
    assert len(json.loads(Path("found.json").read_text())["results"]) == 8


def test_a_video_is_drawn_beside_itself(album, predict, photos, capsys):
    pytest.importorskip("av")
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(3):
        writer.write(photos[0])
    writer.release()
    assert predict("clip.avi", "--score-threshold", "0") == 0
    assert "found in 3 frames, " in capsys.readouterr().out
    assert Path("clip.avi_poses.mp4").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to predict"),
        (["nowhere.jpg"], "no file or folder at nowhere.jpg"),
        (["a.png", "--save-json"], "--save-json needs --output"),
        (["a.png", "--annotations", "x.json"], "--annotations needs --output"),
        (["a.png", "--output", "out", "--json", "-"], "--json does not go with --output"),
        (["a.png", "--show", "--no-draw"], "--show shows what is drawn"),
        (["a.png", "--show"], "--show needs a display"),
        (["a.png", "--json", "."], "--json . is a folder"),
        (["a.png", "--json", "nowhere/x.json"], "nowhere cannot be written"),
        (["torn.jpg"], "none of 1 files could be read"),
        (["0", "a.png"], "a camera is an input of its own"),
        (["0", "--output", "out"], "leave out --output"),
        (["77"], "camera 77 cannot be opened"),
    ],
)
def test_wrong_input_is_one_line(album, predict, capfd, monkeypatch, arguments, message):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = names(album)
    assert predict(*arguments) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert names(album) == before


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (["--model", "a", "--weights", "b"], "--model stands for --config-file and --weights"),
        (["--weights", "b.pth"], "--config-file is missing"),
        (["--config-file", "b.py"], "--weights is missing"),
        (["--model", "keypoint_rcnn_R50"], "did you mean keypoint_rcnn_R50_FPN_"),
        (["--model", "."], "it holds no config.yaml"),
        (["--model", "output/none"], "no folder of a run and no weights at output/none"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "serve", "export"])
def test_a_wrong_model_is_one_line(album, capsys, command, model, message):
    arguments = {"predict": ["a.png"], "serve": ["--port", "0"], "export": ["--format", "onnx"]}
    output = ["--output", "x"] if command == "export" else []
    assert main([command, *arguments[command], *output, *model]) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("error: ") and message in line


def test_the_folder_of_a_run_is_a_model(album, weights, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(weights, run / "model_0000009.pth")
    shutil.copy(weights.with_suffix(".json"), run / "model_0000009.json")
    from detectron2.config import LazyConfig

    from pose_project.config.loading import load_config

    LazyConfig.save(load_config(str(ROOT / CONFIG), EVERYTHING), str(run / "config.yaml"))
    assert main(["predict", "a.png", "--no-draw", "--model", str(run)]) == 2
    assert "holds no model_final.pth and no last checkpoint" in capsys.readouterr().err
    (run / "last_checkpoint").write_text("model_0000009.pth")
    for model in (run, run / "model_0000009.pth"):
        poses = PosePredictor.from_pretrained(str(model))("a.png")
        assert len(poses) == 8
    (run / "last_checkpoint").write_text("model_final.pth")
    shutil.copy(weights, run / "model_final.pth")
    assert main(["predict", "a.png", "--no-draw", "--model", str(run)]) == 0


def test_a_file_is_a_camera_that_ends(album, photos):
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(5):
        writer.write(photos[0])
    writer.release()
    frames = list(CameraReader("clip.avi"))
    assert [frame.image.shape for frame in frames] == [(120, 160, 3)] * 5
    seconds = [frame.seconds for frame in frames]
    assert seconds[0] == 0 and seconds == sorted(seconds)


def test_a_camera_that_is_left_is_released(album, photos):
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(5):
        writer.write(photos[0])
    writer.release()
    reader = CameraReader("clip.avi")
    for _ in reader:
        break
    assert not reader._capture.isOpened()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_ends_a_camera_and_nothing_else(album, photos):
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(50):
        writer.write(photos[0])
    writer.release()
    frames = []
    for frame in CameraReader("clip.avi"):
        frames.append(frame)
        if len(frames) == 3:
            signal.raise_signal(signal.SIGINT)
    assert len(frames) == 3
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_cameras_have_numbers():
    assert find_camera(["photo.jpg"]) is None
    camera = find_camera(["2"])
    assert camera.camera == 2 and camera.is_video
    assert camera.drawn_beside.name == "camera2_poses.mp4"


def test_poses_show_themselves_and_become_other_forms(album, weights):
    predictor = PosePredictor.from_files(str(ROOT / CONFIG), str(weights), EVERYTHING)
    poses = predictor("a.png")
    shown = cv2.imdecode(np.frombuffer(poses._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(shown, poses.draw())
    assert repr(poses) == "<8 found in 160x120 pixels, 17 keypoints each>"
    first = poses.select(np.arange(1))
    assert len(first) == 1 and first.image_bgr.shape == (120, 160, 3)
    assert len(first.to_coco()) == 1
    with pytest.raises(InputError, match="cannot be used"):
        predictor("torn.jpg")
    for convert, library in ((first.to_pandas, "pandas"), (first.to_supervision, "supervision")):
        try:
            __import__(library)
        except ImportError:
            with pytest.raises(InputError, match=f"pip install {library}"):
                convert()


def test_pandas_has_a_row_a_keypoint(album, weights):
    pytest.importorskip("pandas")
    predictor = PosePredictor.from_files(str(ROOT / CONFIG), str(weights), EVERYTHING)
    poses = predictor("a.png")
    table = poses.to_pandas()
    assert len(table) == 8 * 17
    np.testing.assert_array_equal(
        table[["x", "y", "keypoint_score"]].to_numpy(np.float32), poses.keypoints.reshape(-1, 3)
    )


def test_supervision_takes_the_poses(album, weights):
    supervision = pytest.importorskip("supervision")
    predictor = PosePredictor.from_files(str(ROOT / CONFIG), str(weights), EVERYTHING)
    poses = predictor("a.png")
    keypoints = poses.to_supervision()
    np.testing.assert_array_equal(keypoints.xy, poses.keypoints[..., :2])
    annotated = supervision.VertexAnnotator().annotate(poses.image_bgr.copy(), keypoints)
    assert (annotated != poses.image_bgr).any()


def test_covariances_go_along(album, weights, tmp_path):
    supervision = pytest.importorskip("supervision")
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    overrides = [*EVERYTHING, "train.inference.test_time.temperature=1.0"]
    poses = PosePredictor.from_files(str(ROOT / CONFIG), str(weights), overrides)("a.png")
    keypoints = poses.to_supervision()
    assert isinstance(keypoints, supervision.KeyPoints)
    np.testing.assert_array_equal(keypoints.data["covariance"], poses.covariances)
    chosen = keypoints[np.arange(2)]
    np.testing.assert_array_equal(chosen.data["covariance"], poses.covariances[:2])
    poses.to_pandas().to_parquet(tmp_path / "poses.parquet")
    table = pandas.read_parquet(tmp_path / "poses.parquet")
    spread = table[["var_x", "cov_xy", "cov_xy", "var_y"]].to_numpy(np.float32)
    np.testing.assert_array_equal(spread.reshape(8, 17, 2, 2), poses.covariances)
