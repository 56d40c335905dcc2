import dataclasses
import fcntl
import json
import re
import tempfile
from pathlib import Path

import pytest
from helpers.file_server import Fault, tiny_coco
from helpers.fuzzing import PLACES, VALID, fuzz, replaced, values
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from pose_project.extras.coco_download import coco as coco_module
from pose_project.extras.coco_download.coco import COCO_2017, download_coco, space_needed
from pose_project.extras.coco_download.statistics import count_people, statistics_table
from pose_project.extras.coco_download.verify import check_coco
from pose_project.extras.download.large_files import RetryPolicy
from pose_project.utils.errors import DownloadError, InputError

HASTY = RetryPolicy(timeout=1.0, retries=2, pause=0.001)
ALL = ["annotations", "val", "train"]


@pytest.fixture(scope="module")
def tiny():
    return tiny_coco({"train": 6, "val": 3})


@pytest.fixture
def dataset(tiny, server):
    server.files = dict(tiny[1])
    return tiny[0]


@pytest.fixture
def download(server, dataset, tmp_path):
    def run(what=ALL, keep_archives: bool = False) -> None:
        archives = [each for each in dataset.archives if each.name in what]
        download_coco(tmp_path, archives, server.address, keep_archives, HASTY)

    return run


def files(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_layout_and_counts(download, dataset, server, tmp_path):
    download()
    photos = {f"train2017/{n:012d}.jpg" for n in range(1, 7)}
    photos |= {f"val2017/{n:012d}.jpg" for n in range(1001, 1004)}
    annotations = {
        f"annotations/{kind}_{split}2017.json"
        for kind in ("captions", "instances", "person_keypoints")
        for split in ("train", "val")
    }
    assert files(tmp_path / "coco") == photos | annotations | {".prepare_coco.lock"}
    statistics, faults = check_coco(tmp_path, dataset, ALL)
    assert faults == []
    assert dataclasses.astuple(statistics["train"]) == (6, 3, 3, 3, 0, 3, 51, 51)
    assert statistics["val"].photos == 3
    assert len(server.requests) == 3


def test_what_is_done_is_left_alone(download, server):
    download()
    download()
    assert len(server.requests) == 3


def test_only_a_part(download, dataset, server, tmp_path):
    download(["val"])
    assert [each.path for each in server.requests] == ["/zips/val2017.zip"]
    assert check_coco(tmp_path, dataset, ["val"])[1] == []
    assert check_coco(tmp_path, dataset, ["train"])[1] == ["train2017: 0 of 6 files"]


def test_kept_archives_repair_the_folder_without_the_network(download, dataset, server, tmp_path):
    download(keep_archives=True)
    assert len(list((tmp_path / "coco").glob("*.zip"))) == 3
    (tmp_path / "coco/train2017/000000000003.jpg").write_bytes(b"damaged")
    (tmp_path / "coco/val2017/000000001001.jpg").unlink()
    download()
    assert check_coco(tmp_path, dataset, ALL)[1] == []
    assert len(server.requests) == 3
    assert list((tmp_path / "coco").glob("*.zip")) == []


@pytest.mark.parametrize("content", [b"", b"PK" * 5000])
def test_another_zip_of_that_name_is_neither_used_nor_deleted(download, tmp_path, content):
    path = tmp_path / "coco/train2017.zip"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match="train2017.zip has .* delete it to fetch it again"):
        download(["train"])
    assert path.read_bytes() == content


def test_after_a_failure_the_rest_is_done(download, dataset, server, tmp_path):
    size = dataset.archives[0].size
    server.faults = [Fault(), Fault(stop_after=500), *[Fault(status=503)] * 3]
    with pytest.raises(DownloadError, match="run this again to go on"):
        download()
    assert check_coco(tmp_path, dataset, ["annotations"])[1] == []
    faults = check_coco(tmp_path, dataset, ["train"])[1]
    assert faults[0] == "train2017.zip: 0.0 MB of 0.0 MB fetched; --download goes on"
    download()
    assert server.sent("annotations") == size
    assert server.sent("zips") == sum(each.size for each in dataset.archives[1:])
    assert check_coco(tmp_path, dataset, ALL)[1] == []


def test_one_process_at_a_time(download, server, tmp_path):
    (tmp_path / "coco").mkdir()
    with open(tmp_path / "coco/.prepare_coco.lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is preparing"):
            download()
    assert server.requests == []
    download()


def test_too_little_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = lambda path: type("Usage", (), {"free": 30 * 10**9})  # noqa: E731
    monkeypatch.setattr(coco_module.shutil, "disk_usage", usage)
    with pytest.raises(InputError, match=r"coco needs 41\.0 GB more .* 30\.0 GB are free"):
        download_coco(tmp_path / "new/folder", COCO_2017.archives)
    assert list(tmp_path.iterdir()) == []


def test_room_for_what_is_left(dataset, download, tmp_path):
    coco = tmp_path / "coco"
    first, train, val = dataset.archives
    zips = [first.size, train.size, val.size]
    kept = sum(zips) + first.unpacked + train.unpacked + val.unpacked
    assert space_needed(coco, dataset.archives, keep_archives=True) == kept
    deleted = first.unpacked + max(
        first.size, train.unpacked + max(train.size, val.unpacked + val.size)
    )
    assert space_needed(coco, dataset.archives, keep_archives=False) == deleted
    download(["annotations"])
    coco.joinpath("train2017.zip.part").write_bytes(bytes(100))
    (coco / "val2017").mkdir()
    (coco / "val2017/000000001001.jpg").write_bytes(b"x")
    left = train.size - 100 + train.unpacked + val.size + round(val.unpacked * 2 / 3)
    assert space_needed(coco, dataset.archives, keep_archives=True) == left
    download()
    assert space_needed(coco, dataset.archives, keep_archives=False) == 0


def test_more_photos_than_official_ones_are_no_reason_to_fetch(download, server, tmp_path):
    download()
    folder = tmp_path / "coco/val2017"
    (folder / "000000009999.jpg").write_bytes((folder / "000000001001.jpg").read_bytes())
    download()
    assert len(server.requests) == 3


def damage_nothing(coco):
    pass


def damage_photo(coco):
    (coco / "train2017/000000000001.jpg").write_bytes(b"not a photo")


def change_size(coco):
    Image.new("RGB", (8, 8)).save(coco / "train2017/000000000001.jpg")


def remove_photo(coco):
    (coco / "train2017/000000000002.jpg").rename(coco / "train2017/000000099999.jpg")


def damage_json(coco):
    path = coco / "annotations/person_keypoints_train2017.json"
    path.write_bytes(path.read_bytes()[:-5])


def remove_people(coco):
    path = coco / "annotations/person_keypoints_train2017.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": content["annotations"][:1]}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing, None),
        (damage_photo, "train2017: 1 of 6 photos cannot be read .*: 000000000001.jpg$"),
        (change_size, "train2017: 1 of 6 photos .* another size .*: 000000000001.jpg$"),
        (remove_photo, "train2017: 1 of 6 photos named by .* are missing: 000000000002.jpg$"),
        (damage_json, "person_keypoints_train2017.json is not in COCO's format"),
        (remove_people, "person_keypoints_train2017.json: 1 of 3 photos with people"),
    ],
)
def test_faults_are_found(download, dataset, tmp_path, damage, message):
    download()
    damage(tmp_path / "coco")
    _, faults = check_coco(tmp_path, dataset, ALL)
    assert len(faults) == (message is not None)
    if message:
        assert re.search(message, faults[0])


def test_counts_of_real_annotations(test_data):
    statistics, faults = check_coco(test_data, COCO_2017, ALL)
    for split, counts in statistics.items():
        coco = COCO(str(test_data / f"coco/annotations/person_keypoints_{split}2017.json"))
        assert counts.photos == len(coco.getImgIds())
        assert counts.photos_with_people == len(coco.getImgIds(catIds=[1]))
        assert counts.people == len(coco.getAnnIds(iscrowd=False))
        assert counts.crowds == len(coco.getAnnIds(iscrowd=True))
        people = coco.loadAnns(coco.getAnnIds(iscrowd=False))
        assert counts.people_with_keypoints == sum(each["num_keypoints"] > 0 for each in people)
        assert counts.keypoints_labelled == sum(each["num_keypoints"] for each in people)
    assert "train2017: 80 of 118,287 files" in faults
    assert not any("missing" in fault or "read" in fault for fault in faults)


def test_a_table_of_one_split():
    person = {"image_id": 1, "keypoints": [0, 0, 0, 5, 5, 1, 6, 6, 2]}
    crowd = {"image_id": 2, "iscrowd": 1, "keypoints": [1, 1, 2]}
    content = {"images": [{}, {}, {}], "annotations": [person, {"image_id": 1}, crowd]}
    counts = count_people(content)
    assert dataclasses.astuple(counts) == (3, 2, 1, 2, 1, 1, 2, 1)
    assert "| keypoints visible     |     1 |" in statistics_table({"val": counts})


@fuzz
@given(st.sampled_from(PLACES), values)
def test_strange_values_are_a_fault_and_no_crash(path, value):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coco/annotations/person_keypoints_train2017.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(replaced(VALID, path, value)))
        _, faults = check_coco(Path(folder), COCO_2017, ALL)
    assert len(faults) > 3
    assert all("\n" not in fault for fault in faults)


@pytest.mark.parametrize(
    "annotations", [[1], [{}], [{"image_id": 1, "keypoints": ["x"] * 3}], [[]]]
)
def test_malformed_annotations(annotations):
    with pytest.raises(InputError, match="not in COCO's format"):
        count_people({"images": [], "annotations": annotations})
