import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.injected_errors import PHOTOS, clean, write_photos

from pose_project.extras.doctor.examination import examine
from pose_project.extras.doctor.fixing import write_corrected


def examine_folder(folder: Path, content: dict, **options: object):
    json_file = folder / "annotations.json"
    json_file.write_text(json.dumps(content))
    return examine(json_file, folder / "photos", **options)


@pytest.mark.parametrize(("code", "damage"), PHOTOS)
def test_photos(tmp_path, code, damage):
    content = clean()
    write_photos(tmp_path / "photos", content)
    assert examine_folder(tmp_path, content).report.findings == ()
    # the second of two equal ones is the one that repeats
    damage(tmp_path / "photos" / ("2.png" if code == "photo-repeated" else "1.png"))
    (finding,) = examine_folder(tmp_path, content).report.findings
    assert finding.problem.code == code
    assert finding.labels == ((2,) if code == "photo-repeated" else (1,))


def test_exchanged_sizes_are_corrected(tmp_path):
    content = clean()
    write_photos(tmp_path / "photos", content)
    content["images"][0].update(width=64, height=80)
    examination = examine_folder(tmp_path, content)
    assert examination.report.codes == ["photo-size-swapped"]
    write_corrected(tmp_path / "fixed.json", examination.dataset, examination.photos)
    assert json.loads((tmp_path / "fixed.json").read_text())["images"][0] == clean()["images"][0]


def test_photos_of_the_other_dataset(tmp_path):
    content = clean()
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
        write_photos(tmp_path / name / "photos", content)
    other = tmp_path / "val" / "annotations.json"
    other.write_text(json.dumps(content))
    noise = np.random.default_rng(9).integers(0, 255, (64, 80, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "val/photos/2.png"), noise)
    against = (other, tmp_path / "val/photos")
    (finding,) = examine_folder(tmp_path / "train", content, against=against).report.findings
    assert (finding.problem.code, finding.labels) == ("photo-leaked", (1,))
