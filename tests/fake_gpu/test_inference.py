"""Inference on a device: what is found is what the CPU finds, with every switch and every tool."""

import copy
import http.client
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.structures import Instances
from helpers.narrow import narrow_config
from helpers.refined import HEADS, apply
from helpers.repository import load_tool
from omegaconf import DictConfig
from torch import Tensor, nn

from pose_project.checkpoint import PoseCheckpointer
from pose_project.data import register_keypoint_dataset, resolve_dataset
from pose_project.engine import PoseTrainer
from pose_project.extras.export.agreement import Agreement
from pose_project.extras.export.running import ReferenceModel
from pose_project.inference import PosePredictor, Poses
from pose_project.modeling import decode_heatmaps
from pose_project.modeling.acceleration import inference_model
from pose_project.structures import COCO_PERSON

# the CPU pools another way with channels_last, so that results differ by rounding
PLAIN = {"fold_batchnorm": True, "channels_last": False, "dtype": "fp32", "compile_backbone": False}


@pytest.fixture(scope="module")
def cfg() -> DictConfig:
    settings = ("train.device=cpu", "train.channels_last=False", "train.amp.enabled=False")
    cfg = narrow_config("quick/mask_synthetic.py", *settings)
    cfg.train.inference.update(PLAIN)
    return cfg


@pytest.fixture(scope="module")
def model(cfg: DictConfig) -> nn.Module:
    """A model with random weights, whose heatmaps are not too steep."""
    torch.manual_seed(0)
    model = PoseTrainer.build_model(cfg).eval()
    model.roi_heads.keypoint_head.score_lowres.weight.data *= 1e-2
    return model


@pytest.fixture(scope="module")
def weights(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("weights")
    categories = [COCO_PERSON.to_coco_category(1, "person")]
    PoseCheckpointer(model, str(folder)).save("model", provenance={"categories": categories})
    return str(folder / "model.pth")


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = ((96, 128), (96, 128), (160, 100))
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture(scope="module")
def find(model: nn.Module, photos: list[np.ndarray]) -> Callable[..., list[Instances]]:
    """Return what is found in two photos."""

    def run(device: str, test_time: dict | None = None, **switches: object) -> list[Instances]:
        settings = {**PLAIN, **switches, "test_time": test_time or {}}
        fast = inference_model(copy.deepcopy(model).to(device), settings, COCO_PERSON)
        batch = [
            {"image": torch.from_numpy(photo.transpose(2, 0, 1).copy()), "height": 99, "width": 200}
            for photo in photos[:2]
        ]
        return [each["instances"] for each in fast(batch)]

    return run


def fields_of(instances: Instances) -> dict[str, Tensor]:
    """Return the fields on the CPU; all must be on one device."""
    found = {
        name: value.tensor if hasattr(value, "tensor") else value
        for name, value in instances.get_fields().items()
    }
    assert len({each.device for each in found.values()}) == 1
    return {name: value.cpu() for name, value in found.items()}


def assert_same(ours: list[Instances], theirs: list[Instances], atol: float = 1e-5) -> None:
    """Boxes to the bit; what comes from heatmaps but for rounding, since there are two ways."""
    for own, other in zip(ours, theirs, strict=True):
        found, expected = fields_of(own), fields_of(other)
        assert found.keys() == expected.keys() and len(own) > 0
        assert torch.equal(found["pred_boxes"], expected["pred_boxes"])
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=atol, msg=name)


@pytest.mark.parametrize(
    "test_time",
    [
        {},
        {"flip": True},
        {"scales": [0.5, 1.5]},
        {"subpixel": True},
        {"temperature": 2.0},
        {"rescore": True},
        {"oks_nms": 0.1},
        {
            "flip": True, "scales": [1.5], "subpixel": True, "temperature": 1.0,
            "rescore": True, "oks_nms": 0.5,
        },
    ],
    ids=str,
)  # fmt: skip
def test_every_test_time_option_finds_what_the_cpu_finds(find, fake_gpu, test_time):
    assert_same(find(fake_gpu, test_time), find("cpu", test_time))


@pytest.mark.parametrize("test_time", [{}, {"flip": True, "temperature": 1.0}], ids=str)
@pytest.mark.parametrize("switches", HEADS)
def test_every_head_and_region_finds_what_the_cpu_finds(fake_gpu, photos, switches, test_time):
    cfg = narrow_config("quick/synthetic.py", "train.device=cpu", "train.channels_last=False")
    torch.manual_seed(0)
    model = PoseTrainer.build_model(apply(cfg, switches)).eval()
    if hasattr(model.roi_heads.keypoint_head, "score_lowres"):
        model.roi_heads.keypoint_head.score_lowres.weight.data *= 1e-2

    def run(device: str) -> list[Instances]:
        settings = {**PLAIN, "test_time": test_time}
        fast = inference_model(copy.deepcopy(model).to(device), settings, COCO_PERSON)
        images = [torch.from_numpy(each.transpose(2, 0, 1).copy()) for each in photos[:2]]
        return [each["instances"] for each in fast([{"image": each} for each in images])]

    assert_same(run(fake_gpu), run("cpu"), atol=1e-4)  # attention also sums in two ways


@pytest.mark.parametrize("fold", [False, True])
def test_folding_is_the_cpus(find, fake_gpu, fold):
    assert_same(find(fake_gpu, fold_batchnorm=fold), find("cpu", fold_batchnorm=fold))


@pytest.mark.parametrize(
    ("switches", "pixels"),
    [({"channels_last": True}, 0.01), ({"dtype": "bf16"}, 5), ({"dtype": "fp16"}, 1)],
    ids=str,
)
def test_every_switch_finds_nearly_what_the_cpu_finds(find, fake_gpu, switches, pixels):
    for ours, theirs in zip(find(fake_gpu, **switches), find("cpu"), strict=True):
        found, expected = fields_of(ours), fields_of(theirs)
        for name in ("scores", "pred_boxes", "pred_keypoints"):
            assert found[name].dtype == expected[name].dtype == torch.float32
        boxes = torch.cdist(found["pred_boxes"], expected["pred_boxes"], p=torch.inf).min(1)
        assert (boxes.values < pixels).float().mean() >= 0.8  # random weights: scores tie


@pytest.mark.parametrize("box_px", [(0.2, 30), (20, 400), (500, 1200)])
@pytest.mark.parametrize("side", [28, 56])
def test_decoded_points_are_the_cpus_to_the_bit(fake_gpu, box_px, side):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(9, 17, side, side, generator=generator) * 8
    corner = torch.rand(9, 2, generator=generator) * 100
    low, high = box_px
    size = low + torch.rand(9, 2, generator=generator) * (high - low)
    boxes = torch.cat([corner, corner + size], dim=1)
    found = decode_heatmaps(maps.to(fake_gpu), boxes.to(fake_gpu)).cpu()
    expected = decode_heatmaps(maps, boxes)
    assert torch.equal(found[..., :2], expected[..., :2])
    torch.testing.assert_close(found[..., 2:], expected[..., 2:], rtol=1e-5, atol=1e-6)
    assert decode_heatmaps(maps[:0].to(fake_gpu), boxes[:0].to(fake_gpu)).shape == (0, 17, 4)


def test_precision_is_the_cpus(cfg, model, fake_gpu, tmp_path):
    """Labels are what the model finds, moved a little, so that there is something to be scored."""
    cfg = copy.deepcopy(cfg)
    cfg.dataloader.evaluator.tasks = ("bbox", "keypoints")
    results = tmp_path / "inference/coco_instances_results.json"
    cfg.train.output_dir = str(tmp_path)
    PoseTrainer.test(cfg, model)
    cfg.dataloader.test.dataset.names = label_as_found(cfg, json.loads(results.read_text()))
    here, there = (
        PoseTrainer.test(cfg, copy.deepcopy(model).to(device)) for device in ("cpu", fake_gpu)
    )
    assert json.dumps(there) == json.dumps(here)
    assert 10 < here["keypoints"]["AP"] < 100


def label_as_found(cfg: DictConfig, results: list[dict]) -> str:
    """Register a dataset of the same photos whose people are detections; return its name."""
    metadata = resolve_dataset(cfg.dataloader.test.dataset.names)
    content = json.loads(Path(metadata.json_file).read_text())
    rng, people = np.random.default_rng(0), []
    for number, each in enumerate(results, 1):
        points = np.reshape(each["keypoints"], (17, 3))
        points[:, :2] += rng.normal(0, 1, (17, 2))
        points[:, 2] = 2
        width, height = each["bbox"][2:]
        people.append(
            {
                "id": number,
                "image_id": each["image_id"],
                "category_id": 1,
                "bbox": each["bbox"],
                "area": width * height,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": points.flatten().tolist(),
            }
        )
    labels = Path(cfg.train.output_dir) / "found.json"
    labels.write_text(json.dumps({**content, "annotations": people}))
    register_keypoint_dataset("found_by_the_model", labels, metadata.image_root)
    return "found_by_the_model"


def test_the_predictor_finds_what_it_finds_on_the_cpu(cfg, weights, photos, fake_gpu):
    found = predictor_on(fake_gpu, cfg, weights).predict(photos)
    expected = predictor_on("cpu", cfg, weights).predict(photos)
    for ours, theirs in zip(found, expected, strict=True):
        assert_equal_poses(ours, theirs)


def predictor_on(device: str, cfg: DictConfig, weights: str, **test_time: object) -> PosePredictor:
    cfg = copy.deepcopy(cfg)
    cfg.train.device = device
    cfg.train.inference.test_time.update(test_time)
    return PosePredictor(cfg, weights)


def assert_equal_poses(ours: Poses, theirs: Poses) -> None:
    assert len(ours) > 0
    for name in ("boxes", "scores", "classes", "keypoints"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_predict_draws_and_writes_what_it_does_on_the_cpu(cfg, weights, photos, fake_gpu, tmp_path):
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    for number, photo in enumerate(photos):
        cv2.imwrite(str(tmp_path / f"{number}.png"), photo)
    for device in ("cpu", fake_gpu):
        status = load_tool("predict").main(
            ["--config-file", str(tmp_path / "config.yaml"), "--weights", weights, "--input"]
            + [str(tmp_path / "*.png"), "--output", str(tmp_path / device), "--save-json"]
            + ["--save-csv", "--score-threshold", "0", f"train.device={device}"]
        )
        assert status == 0
    names = ["results.json", "keypoints.csv", "drawn/0.png", "drawn/1.png", "drawn/2.png"]
    for name in names:
        assert (tmp_path / fake_gpu / name).read_bytes() == (tmp_path / "cpu" / name).read_bytes()


def test_serve_finds_what_the_predictor_finds(cfg, weights, photos, fake_gpu):
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install -e '.[serve]'")
    import uvicorn

    from pose_project.extras.serve.app import build_app
    from pose_project.extras.serve.limits import Limits

    predictor = predictor_on(fake_gpu, cfg, weights, temperature=1.0)
    server = uvicorn.Server(uvicorn.Config(build_app(predictor, Limits()), log_level="error"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60)
        connection.request("POST", "/api/poses", cv2.imencode(".png", photos[0])[1].tobytes())
        response = connection.getresponse()
        assert response.status == 200
        people = json.loads(response.read())["people"]
        connection.close()
    finally:
        server.should_exit = True
        thread.join()
    poses = predictor_on("cpu", cfg, weights, temperature=1.0)(photos[0])
    assert len(people) == len(poses) > 0
    np.testing.assert_allclose([each["box"] for each in people], poses.boxes, atol=1e-2)
    points = [[[k["x"], k["y"], k["score"]] for k in each["keypoints"]] for each in people]
    np.testing.assert_allclose(points, poses.keypoints, atol=1e-2)


def test_the_model_that_an_export_is_compared_with(cfg, model, photos, fake_gpu):
    augmentations = instantiate(cfg.dataloader.test.mapper.augmentations)
    there = ReferenceModel(copy.deepcopy(model).to(fake_gpu), augmentations)
    here = ReferenceModel(model, augmentations)
    agreement = Agreement()
    for photo in photos:
        agreement.add(here(photo), there(photo))
    agreement.check()
    assert agreement.people > 0 and agreement.keypoint_px.max() == 0


def test_compression_of_a_model(cfg, weights, fake_gpu, tmp_path):
    cfg = copy.deepcopy(cfg)
    cfg.dataloader.evaluator.tasks = ("bbox", "keypoints")
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    arguments = ["--config-file", str(tmp_path / "config.yaml"), "--weights", weights]
    arguments += ["--output", str(tmp_path / "compact.pth"), "--rank", "8"]
    assert load_tool("compress_svd").main([*arguments, f"train.device={fake_gpu}"]) == 0
    saved = torch.load(tmp_path / "compact.pth", map_location="cpu")["model"]
    assert saved["roi_heads.box_head.fc1.sigma_vt.weight"].shape == (8, 32 * 7 * 7)
