"""Shards hold what the folder held, and what is wrong with them is named."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from helpers.annotations import person

from pose_project.commands.command_line import main
from pose_project.data import get_dataset_dicts
from pose_project.data.image_reading import read_photo
from pose_project.extras.shards.reading import open_shards

webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")


@pytest.fixture
def folder(write_dataset) -> tuple[Path, Path]:
    people = [person(image_id, annotation_id=image_id) for image_id in range(1, 8)]
    return write_dataset(people, sizes_hw=((64, 80),) * 7)


@pytest.fixture
def shards(folder, tmp_path) -> Path:
    """Seven photos of 15 kB of noise, three in a shard."""
    assert shard(folder, tmp_path / "shards") == 0
    return tmp_path / "shards"


def shard(folder: tuple[Path, Path], output: Path, *more: str) -> int:
    json_file, photos = folder
    from pose_project.extras.shards import writing

    before = writing.write_shards
    writing.write_shards = lambda *given: before(*given[:3], 45_000)  # a megabyte is too large here
    try:
        return main(
            ["shard", str(json_file), "--images", str(photos), "--output", str(output), *more]
        )
    finally:
        writing.write_shards = before


def test_photos_are_those_of_the_folder(folder, shards):
    json_file, photos = folder
    assert sorted(path.name for path in shards.iterdir()) == [
        "annotations.json",
        *(f"photos-{number:06d}.tar" for number in range(3)),
        "shards.json",
        "shards.npz",
    ]
    plain = get_dataset_dicts(f"{json_file}@{photos}")
    packed = get_dataset_dicts(f"{shards}/annotations.json@{shards}")
    assert len(plain) == len(packed) == 7
    for ours, theirs in zip(packed, plain, strict=True):
        np.testing.assert_array_equal(read_photo(ours, "BGR"), read_photo(theirs, "BGR"))
        assert ours["shard"][0].endswith(".tar")
        assert ours["annotations"] == theirs["annotations"]


def test_webdataset_reads_ours(folder, shards):
    _, photos = folder
    urls = [str(path) for path in sorted(shards.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [each["__key__"] for each in samples] == [f"{id_:012d}" for id_ in range(1, 8)]
    for id_, sample in enumerate(samples, 1):
        assert sample["png"] == (photos / f"{id_}.png").read_bytes()
        content = json.loads(sample["json"])
        assert content["image"]["file_name"] == f"{id_}.png"
        assert [each["image_id"] for each in content["annotations"]] == [id_]


def test_we_read_webdatasets(folder, tmp_path):
    """Its tar files have no index and, here, photos alone."""
    json_file, photos = folder
    (tmp_path / "theirs").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "theirs/%03d.tar"), maxcount=3, verbose=0) as writer:
        for id_ in (3, 1, 2, 7, 6, 5, 4):
            data = (photos / f"{id_}.png").read_bytes()
            writer.write({"__key__": str(id_), "png": data, "txt": "a caption"})
    plain = get_dataset_dicts(f"{json_file}@{photos}")
    packed = get_dataset_dicts(f"{json_file}@{tmp_path}/theirs")
    for ours, theirs in zip(packed, plain, strict=True):
        np.testing.assert_array_equal(read_photo(ours, "BGR"), read_photo(theirs, "BGR"))


def test_the_same_bytes_again_and_after_an_interruption(folder, shards, tmp_path, monkeypatch):
    from pose_project.extras.shards import writing

    write, calls = writing._write_tar, []

    def killed_at_the_third(path, group, people):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return write(path, group, people)

    again = tmp_path / "again"
    monkeypatch.setattr(writing, "_write_tar", killed_at_the_third)
    assert shard(folder, again) == 130
    assert not (again / "shards.json").exists()
    monkeypatch.setattr(writing, "_write_tar", write)
    stamp = (again / "photos-000000.tar").stat().st_mtime_ns
    assert shard(folder, again) == 0
    assert (again / "photos-000000.tar").stat().st_mtime_ns == stamp
    for path in shards.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_done_is_said_and_others_are_refused(folder, shards, capsys):
    assert shard(folder, shards) == 0
    assert "is complete already" in capsys.readouterr().out
    json_file, _ = folder
    json_file.write_text(json_file.read_text() + " ")
    assert shard(folder, shards) == 2
    assert "holds other shards" in capsys.readouterr().err


def test_missing_and_torn_shards_are_named(shards, tmp_path, capsys):
    def check(damage) -> str:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(shards, copy)
        damage(copy / "photos-000001.tar")
        assert main(["shard", "--check", str(copy)]) == 2
        return capsys.readouterr().err.replace(str(copy), "DIR")

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[3000] ^= 1
        path.write_bytes(data)

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-5000])

    assert main(["shard", "--check", str(shards)]) == 0
    assert "7 photos in 3 shards: as their index says" in capsys.readouterr().out
    assert "DIR/photos-000001.tar is missing" in check(Path.unlink)
    assert "DIR/photos-000001.tar is torn" in check(cut)
    assert "DIR/photos-000001.tar is damaged" in check(flip)


@pytest.mark.parametrize("cut", [12_000, 20_000])
def test_a_torn_tar_without_an_index_is_named(shards, cut):
    (shards / "shards.json").unlink()
    torn = shards / "photos-000002.tar"
    torn.write_bytes(torn.read_bytes()[:-cut])
    with pytest.raises(ValueError, match="photos-000002.tar is torn"):
        open_shards(shards)


def test_other_photos_under_the_same_ids_are_refused(folder, shards):
    content = json.loads((shards / "annotations.json").read_text())
    content["images"][4]["file_name"] = "elsewhere.png"
    other = shards.parent / "other.json"
    other.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="1 of 7 photos are not in the shards .* elsewhere.png"):
        get_dataset_dicts(f"{other}@{shards}")


def test_an_address_is_copied_once_and_checked(shards, synthetic_cache):
    address = f"file://{shards}"
    packed = get_dataset_dicts(f"{address}/annotations.json@{address}")
    cached = Path(packed[0]["shard"][0]).parent
    assert cached.is_relative_to(synthetic_cache)
    assert not list(cached.glob("*.tar"))  # until a photo is asked for
    plain = get_dataset_dicts(f"{shards}/annotations.json@{shards}")
    for ours, theirs in zip(packed, plain, strict=True):
        np.testing.assert_array_equal(read_photo(ours, "BGR"), read_photo(theirs, "BGR"))
    assert len(list(cached.glob("*.tar"))) == 3
    (cached / "photos-000001.tar").unlink()
    source = shards / "photos-000001.tar"
    source.write_bytes(source.read_bytes()[:-512])
    with pytest.raises(ValueError, match=r"photos-000001.tar has sha256 \w+, not"):
        read_photo(packed[4], "BGR")
    assert not (cached / "photos-000001.tar").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///nowhere", "there is no file:///nowhere/annotations.json"),
        ("qqq://bucket/x", "qqq://bucket/x/annotations.json cannot be opened: Protocol not known"),
    ],
)
def test_an_address_without_shards(address, message):
    with pytest.raises(ValueError, match=message):
        get_dataset_dicts(f"{address}/annotations.json@{address}")


def test_wrong_input(folder, tmp_path, capsys):
    json_file, photos = folder
    given = ["--images", str(photos), "--output", str(tmp_path / "out")]
    for arguments, message in [
        ([str(json_file)], "give ANNOTATIONS.json, --images and --output"),
        ([str(tmp_path / "none.json"), *given], "no file at"),
        ([str(json_file), *given, "--megabytes", "0"], "--megabytes must be at least 1"),
        (["--check", str(tmp_path / "none")], "no folder at"),
        (["--check", str(photos)], "there are no shards in"),
        ([str(json_file), "--check", str(photos)], "--check stands alone"),
    ]:
        assert main(["shard", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and message in line
    (photos / "3.png").unlink()
    assert main(["shard", str(json_file), *given]) == 2
    assert "1 of 7 photos are missing, such as" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_tar_is_what_others_read(shards):
    """Names, order and sizes by Python's own reader; nothing of this machine is in it."""
    with tarfile.open(shards / "photos-000000.tar") as archive:
        members = archive.getmembers()
    assert [each.name for each in members[:2]] == ["000000000001.png", "000000000001.json"]
    assert {(each.mtime, each.uid, each.uname) for each in members} == {(0, 0, "")}
