"""What the doctor says of evaluation is what pycocotools does."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from helpers.injected_errors import Edit, also, annotation, clean, someone, without
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def keypoint_ap(folder: Path, edit: Edit) -> float:
    """AP of a prediction that is the first person exactly; 0..1, -1 if undefined."""
    content = clean(1)
    edit(content)
    (folder / "gt.json").write_text(json.dumps(content))
    perfect = {key: someone(1, 1)[key] for key in ("image_id", "category_id", "keypoints")}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "gt.json"))
        evaluation = COCOeval(truth, truth.loadRes([{**perfect, "score": 0.9}]), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize(
    ("edit", "ap"),
    [
        (lambda content: None, 1.0),
        (annotation(id=0), 0.0),
        (annotation(num_keypoints=0), -1.0),
        (also("annotations", someone(1, 2)), 0.505),
    ],
    ids=["clean", "zero-id", "num-keypoints-zero", "duplicate-person"],
)
def test_ap(tmp_path, edit, ap):
    assert keypoint_ap(tmp_path, edit) == pytest.approx(ap, abs=1e-3)


@pytest.mark.parametrize("key", ["iscrowd", "num_keypoints", "area"])
def test_what_stops_it(tmp_path, key):
    with pytest.raises(KeyError, match=key):
        keypoint_ap(tmp_path, without(key))
