"""Exported models find what the model in PyTorch finds, whatever the photo."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import instantiate
from detectron2.data import transforms as T
from helpers.refined import HEADS, apply
from helpers.repository import ROOT, load_tool
from torch import nn

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import load_config
from pose_project.extras.export.agreement import Agreement, DisagreementError
from pose_project.extras.export.graph import PoseGraph, check_exportable
from pose_project.extras.export.resize_rule import ResizeRule
from pose_project.extras.export.running import (
    OnnxModel,
    OpenVinoModel,
    ReferenceModel,
    TorchScriptModel,
)
from pose_project.extras.export.writing import export_model
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")

CONFIG = str(ROOT / "configs/quick/synthetic.py")
NOBODY = np.full((64, 80, 3), 128, np.uint8)  # nearly zero after normalisation
RESIZE = [T.ResizeShortestEdge(96, 160)]
SMALL = [
    "train.device=cpu",
    "train.channels_last=False",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.max_size=160",
    "model.roi_heads.box_predictor.test_topk_per_image=20",
]


def smooth_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def make_model(*overrides: str, switches: str = "") -> nn.Module:
    """Random weights, with statistics of their own, so that scores are far from ties."""
    cfg = load_config(CONFIG, [*SMALL, *overrides])
    if switches:
        cfg = apply(cfg, switches)
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    for norm in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.momentum = 1.0
    image = torch.from_numpy(smooth_photo(96, 128).transpose(2, 0, 1).copy())
    with torch.no_grad():
        model.backbone(model.preprocess_image([{"image": image}]).tensor)
        model.proposal_generator.rpn_head.objectness_logits.weight *= 30
        model.roi_heads.box_predictor.cls_score.weight *= 10
    return model.eval()


def leave_nobody(model: nn.Module) -> nn.Module:
    """Raise the score threshold until nobody is left in ``NOBODY``; in other photos some are."""
    predictor = model.roi_heads.box_predictor
    predictor.test_score_thresh = 0.0
    head = model.roi_heads.keypoint_head
    learned, head.person_score = head.person_score, None  # the threshold is one of boxes
    run = ReferenceModel(model, RESIZE)
    nobody = run(NOBODY).scores.max()
    predictor.test_score_thresh = float(nobody) + 0.02
    assert len(run(NOBODY).scores) == 0
    head.person_score = learned
    return model


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return leave_nobody(make_model())


def export(model: nn.Module, file_format: str, path: Path) -> OnnxModel | TorchScriptModel:
    graph = PoseGraph(model, ResizeRule.of(RESIZE)).eval()
    export_model(graph, file_format, smooth_photo(96, 128), path)
    return OnnxModel(path, 1) if file_format == "onnx" else TorchScriptModel(path)


@pytest.fixture(scope="module", params=["onnx", "torchscript"])
def exported(request, model, tmp_path_factory) -> OnnxModel | TorchScriptModel:
    return export(model, request.param, tmp_path_factory.mktemp(request.param) / "model")


def agreement_on(model, exported, *photos) -> Agreement:
    agreement = Agreement()
    for photo in photos:
        agreement.add(ReferenceModel(model, RESIZE)(photo), exported(photo))
    agreement.check()
    return agreement


@pytest.mark.parametrize(
    "size_hw", [(96, 128), (480, 640), (300, 200), (100, 400), (640, 33), (16, 16), (1, 1)]
)
def test_same_people_at_any_size(model, exported, size_hw):
    agreement_on(model, exported, smooth_photo(*size_hw))


def test_there_are_people_to_compare(model, exported):
    """Several photos, so that the comparisons above are not of nothing."""
    photos = [smooth_photo(120, 160, seed) for seed in range(5)]
    agreement = agreement_on(model, exported, *photos)
    assert agreement.people > 20 and agreement.keypoint_px.size == 17 * agreement.people


def test_nobody(model, exported):
    found = exported(NOBODY)
    arrays = found.boxes, found.scores, found.classes, found.keypoints
    assert [each.shape for each in arrays] == [(0, 4), (0,), (0,), (0, 17, 3)]
    assert [str(each.dtype) for each in arrays] == ["float32", "float32", "int64", "float32"]
    assert agreement_on(model, exported, NOBODY).people == 0


@pytest.mark.integration
@pytest.mark.parametrize("people", [1, 100])
def test_one_person_and_many(tmp_path, people):
    """Traced with so many, run with nobody and with photos of other sizes."""
    model = make_model(f"model.roi_heads.box_predictor.test_topk_per_image={people}")
    model.roi_heads.box_predictor.test_nms_thresh = 0.999
    model.proposal_generator.nms_thresh = 0.95
    model.proposal_generator.post_nms_topk = {False: 400}
    leave_nobody(model)
    exported = export(model, "onnx", tmp_path / "model.onnx")
    photos = [smooth_photo(150, 200, seed) for seed in range(3)]
    assert len(exported(photos[0]).boxes) == people
    agreement_on(model, exported, *photos, NOBODY)


@pytest.mark.integration
@pytest.mark.parametrize("topk", ["null", "2"])
@pytest.mark.parametrize("switches", HEADS)
def test_every_head_and_region(tmp_path, switches, topk):
    """Among them learned scores, by which people are ranked anew."""
    model = make_model(f"model.roi_heads.keypoint_head.topk_per_image={topk}", switches=switches)
    leave_nobody(model)
    exported = export(model, "onnx", tmp_path / "model.onnx")
    photos = [smooth_photo(150, 200, seed) for seed in range(3)]
    assert agreement_on(model, exported, *photos, NOBODY).people > 10
    assert (np.diff(exported(photos[0]).scores) <= 0).all()


@pytest.mark.integration
def test_several_classes_and_keypoints_for_the_best(tmp_path):
    model = make_model(
        "model.roi_heads.num_classes=3", "model.roi_heads.keypoint_head.topk_per_image=2"
    )
    model.roi_heads.box_predictor.test_score_thresh = 0.05
    exported = export(model, "onnx", tmp_path / "model.onnx")
    photo = smooth_photo(150, 200)
    agreement_on(model, exported, photo)
    found = exported(photo)
    has_points = found.keypoints.any(axis=(1, 2))
    counts = np.bincount(found.classes)
    assert (counts > 0).sum() > 1 and counts.max() > 2
    np.testing.assert_array_equal(
        np.bincount(found.classes[has_points], minlength=len(counts)), counts.clip(max=2)
    )


@pytest.mark.integration
def test_torchvisions_way(tmp_path):
    """RGB, its resizing, its anchors, its boxes without area."""
    cfg = load_config(str(ROOT / "configs/torchvision_keypoint_rcnn_R50_FPN.py"))
    small = load_config(CONFIG, SMALL)
    small.model.input_format = "RGB"
    generator = small.model.proposal_generator.anchor_generator
    generator._target_ = cfg.model.proposal_generator.anchor_generator._target_
    small.model.roi_heads.box_predictor._target_ = cfg.model.roi_heads.box_predictor._target_
    torch.manual_seed(0)
    model = instantiate(small.model).eval()
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight *= 3000
    resize = instantiate(cfg.dataloader.test.mapper.augmentations)
    resize[0].short_edge_lengths[:], resize[0].max_size = 96, 160
    export_model(
        PoseGraph(model, ResizeRule.of(resize)).eval(),
        "onnx",
        smooth_photo(96, 128),
        tmp_path / "model.onnx",
    )
    exported, reference = OnnxModel(tmp_path / "model.onnx", 1), ReferenceModel(model, resize)
    agreement = Agreement()
    for seed, size_hw in enumerate([(150, 200), (300, 170), (90, 61)]):
        photo = smooth_photo(*size_hw, seed)
        agreement.add(reference(photo), exported(photo))
    agreement.check()
    assert agreement.people > 5


@pytest.mark.integration
def test_openvino_finds_the_same_people(model, tmp_path):
    """It has neither float64 nor int64: sizes and pixels must not need them."""
    pytest.importorskip("openvino", reason="openvino is not installed")
    export(model, "onnx", tmp_path / "model.onnx")
    found = OpenVinoModel(tmp_path / "model.onnx", 1)
    sizes = [(120, 160), (640, 427), (500, 333), (480, 640), (700, 100), (16, 16), (640, 427)]
    photos = [smooth_photo(*size_hw, seed) for seed, size_hw in enumerate(sizes)]
    agreement = agreement_on(model, found, *photos, NOBODY)
    assert agreement.people > 20 and agreement.photos_without_people == 1
    assert (agreement.keypoint_px <= 0.5).mean() >= 0.99


@pytest.mark.integration
@pytest.mark.parametrize("file_format", ["onnx", "torchscript"])
def test_real_photos(test_data, model, tmp_path, file_format):
    paths = sorted((test_data / "coco/val2017").glob("*.jpg"))[:40]
    photos = [cv2.imread(str(path)) for path in paths]
    assert len({photo.shape for photo in photos}) > 5
    exported = export(model, file_format, tmp_path / "model")
    agreement = agreement_on(model, exported, *photos, NOBODY)
    assert agreement.people > 100 and agreement.photos_without_people > 0


@pytest.mark.integration
def test_torchscript_runs_without_detectron2(model, tmp_path):
    export(model, "torchscript", tmp_path / "model.ts")
    photo = smooth_photo(120, 160)
    np.save(tmp_path / "photo.npy", photo)
    program = (
        "import sys, numpy as np, torch, torchvision\n"
        "model = torch.jit.load('model.ts')\n"
        "found = model(torch.from_numpy(np.load('photo.npy')))\n"
        "assert not [m for m in sys.modules if m.startswith(('detectron2', 'pose_project'))]\n"
        "np.save('boxes.npy', found[0].numpy())\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120)
    expected = ReferenceModel(model, RESIZE)(photo).boxes
    assert len(expected) > 0
    np.testing.assert_allclose(np.load(tmp_path / "boxes.npy"), expected, atol=0.01)


@pytest.mark.integration
def test_example_needs_neither_torch_nor_the_project(weights, tmp_path):
    assert run_tool(weights, tmp_path / "out") == 0
    cv2.imwrite(str(tmp_path / "photo.png"), smooth_photo(120, 160))
    program = (
        "import runpy, sys\n"
        "class Ban:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'detectron2', 'pose_project', 'onnx'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Ban())\n"
        "sys.argv = ['onnx_example.py', 'out/model.onnx', 'photo.png', '--score', '0.06']\n"
        f"runpy.run_path({str(ROOT / 'tools/onnx_example.py')!r}, run_name='__main__')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120)
    found = json.loads((tmp_path / "found.json").read_text())["people"]
    assert found and all(len(each["keypoints"]) == 17 for each in found)
    drawn, photo = cv2.imread(str(tmp_path / "found.jpg")), smooth_photo(120, 160)
    assert drawn.shape == photo.shape and np.abs(drawn.astype(int) - photo).max() > 100


def people(*boxes: tuple, keypoints: float = 0.0, scores: float = 0.9) -> Poses:
    count = len(boxes)
    return Poses(
        (100, 100),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, scores, np.float32),
        np.zeros(count, np.int64),
        np.full((count, 17, 3), keypoints, np.float32),
    )


A, B = (10, 10, 50, 80), (60, 10, 90, 80)


@pytest.mark.parametrize(
    "expected, found, message",
    [
        (people(A, B), people(A), "only_one_found 1 > 0"),
        (people(), people(A), "only_one_found 1 > 0"),
        (people(A), people((10, 10, 50, 80.2)), "box_px_max 0.2 > 0.1"),
        (people(A), people(A, keypoints=2.0), "keypoint_px_99_percent 2.828 > 1"),
        (people(A), people(A, keypoints=np.nan), "keypoint_px_99_percent nan > 1"),
        (people(A), people(A, scores=0.8), "score_max 0.1 > 0.001"),
    ],
)
def test_disagreement_is_seen(expected, found, message):
    agreement = Agreement()
    agreement.add(people(A), people(A))
    agreement.add(expected, found)
    with pytest.raises(DisagreementError, match=message):
        agreement.check()


def test_order_of_equal_scores_does_not_matter():
    agreement = Agreement()
    agreement.add(people(A, B), people(B, A))
    agreement.check()
    assert agreement.people == 2


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    PoseCheckpointer(model, str(folder)).save("model_final")
    return folder / "model_final.pth"


def run_tool(weights, output, *arguments, config=CONFIG, file_format="onnx") -> int:
    command = ["--config-file", str(config), "--weights", str(weights), "--output", str(output)]
    overrides = [*SMALL, "dataloader.test.dataset.names=keypoints_coco_2017_val"]
    return load_tool("export").main([*command, "--format", file_format, *overrides, *arguments])


@pytest.mark.integration
def test_the_tool_describes_and_verifies(weights, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), smooth_photo(150, 200))
    output = tmp_path / "new/folder"
    assert run_tool(weights, output, "--compare", str(photos), file_format="torchscript") == 0
    written = ["labels.txt", "model.json", "model.ts", "model_card.md"]
    assert sorted(path.name for path in output.iterdir()) == written
    record = json.loads((output / "model.json").read_text())
    assert record["keypoint_names"][0] == "nose" and record["skeleton"]
    assert record["classes"][0]["name"] == "person"
    assert record["resize"]["short_edge"] == 96 and record["thresholds"]["score"] == 0.05
    assert record["verified_against_pytorch"]["photos"] == 2
    assert record["provenance"]["config"]["model"]["input_format"] == "BGR"
    printed = capsys.readouterr().out
    assert "keypoint px 99 percent" in printed and "times as fast" in printed

    assert run_tool(weights, output) == 2  # the other format would replace model.json
    assert "holds model.ts" in capsys.readouterr().err
    assert sorted(path.name for path in output.iterdir()) == written


@pytest.mark.integration
def test_triton_is_told_what_the_file_has(weights, tmp_path):
    """Names, types and numbers of axes are those of the exported file."""
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    assert run_tool(weights, tmp_path) == 0
    session = OnnxModel(tmp_path / "model.onnx", 1).session
    config = text_format.Parse((tmp_path / "config.pbtxt").read_text(), schema.ModelConfig())
    types = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}
    types["tensor(int64)"] = "TYPE_INT64"
    for told, real in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [each.name for each in told] == [each.name for each in real]
        for one, other in zip(told, real, strict=True):
            assert schema.DataType.Name(one.data_type) == types[other.type]
            assert len(one.dims) == len(other.shape)


@pytest.mark.integration
def test_a_file_that_disagrees_is_not_kept(weights, tmp_path, capsys, monkeypatch):
    """The reference sees another photo than the exported model."""
    shifted = ReferenceModel.__call__
    monkeypatch.setattr(
        ReferenceModel, "__call__", lambda self, image: shifted(self, image[:, ::-1].copy())
    )
    assert run_tool(weights, tmp_path / "out", file_format="torchscript") == 1
    assert "error: the exported model is not the one in PyTorch" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_wrong_input(weights, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    number, generator = "model.roi_heads.keypoint_head.num_keypoints", "model.proposal_generator"
    for arguments, message in [
        ((tmp_path / "none.pth", out), "no weights at"),
        ((tmp_path / "damaged.pth", out), "is damaged or holds"),
        ((weights, tmp_path / "file"), "must be a folder, but"),
        ((weights, tmp_path / "file/below"), "cannot be written"),
        ((weights, out, "--compare", str(tmp_path / "empty")), "no JPEG or PNG photos"),
        ((weights, out, f"{number}=5"), "predicts 5 keypoints"),
        ((weights, out, f"{generator}=null"), "takes boxes as input"),
        ((weights, out, "train.inference.test_time.flip=True"), "cannot be exported"),
        ((weights, out, "model.nothing=1"), "the config has no key model.nothing"),
    ]:
        code = run_tool(*arguments)
        lines = capsys.readouterr().err.strip().splitlines()
        assert code == 2 and message in lines[-1] and lines[-1].startswith("error: "), message
    assert run_tool(weights, out, config=tmp_path / "none.py") == 2
    assert "no config at" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        run_tool(weights, out, file_format="tflite")
    assert stopped.value.code == 2
    assert not out.exists()


def test_models_that_are_not_repeated_are_refused(model):
    cfg = load_config(str(ROOT / "configs/quick/faster_synthetic.py"))
    with pytest.raises(InputError, match="no keypoint head"):
        check_exportable(instantiate(cfg.model))
    with pytest.raises(InputError, match="a Linear cannot be exported"):
        check_exportable(nn.Linear(1, 1))
