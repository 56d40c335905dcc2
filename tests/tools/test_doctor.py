"""The doctor as its users call it."""

import json
import os

import pytest
from helpers.annotations import person
from helpers.repository import load_tool

from pose_project.extras.doctor.check_expected import read_schemas
from pose_project.structures import COCO_PERSON


@pytest.fixture
def doctor(capsys):
    """Call the tool; return exit code, output and error output."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = load_tool("doctor").main([str(each) for each in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out, captured.err

    return call


@pytest.fixture
def dataset(write_dataset):
    points = [20, 20, 2] * 5 + [25, 30, 2] * 12
    annotation = person(keypoints=points, num_keypoints=3, iscrowd=False)
    return write_dataset([annotation], skeleton=[[1, 2]])


def test_report_and_corrected_copy(doctor, dataset, tmp_path):
    json_file, photos = dataset
    before = json_file.read_bytes()
    code, out, err = doctor(json_file, "--images", photos, "--fix", tmp_path / "fixed.json")
    assert code == 1
    for problem in ("num-keypoints-wrong", "iscrowd-boolean"):
        assert f"WARNING {problem}" in out
    assert "\n  annotations: num_keypoints counted again (1)\n" in err
    assert err.endswith("Left, without looking at photos: nothing wrong\n")
    assert json_file.read_bytes() == before
    assert doctor(tmp_path / "fixed.json", "--images", photos)[0] == 0
    (annotation,) = json.loads((tmp_path / "fixed.json").read_text())["annotations"]
    assert (annotation["num_keypoints"], annotation["iscrowd"]) == (17, 0)


def test_json_alone_on_the_output(doctor, dataset, tmp_path):
    json_file, photos = dataset
    outputs = ("--fix", tmp_path / "fixed.json", "--html", tmp_path / "page")
    code, out, _ = doctor(json_file, "--images", photos, "--json", *outputs)
    report = json.loads(out)
    assert report["exit_code"] == code == 1
    assert report["totals"] == {"images": 1, "annotations": 1, "categories": 1}
    assert {"code", "severity", "count", "ids", "why", "fix"} < set(report["findings"][0])


def test_page_with_drawn_examples(doctor, dataset, tmp_path):
    json_file, photos = dataset
    doctor(json_file, "--images", photos, "--html", tmp_path / "page")
    page = (tmp_path / "page/index.html").read_text()
    assert page.count("<img") == 2
    doctor(json_file, "--html", tmp_path / "page")
    assert "<img" not in (tmp_path / "page/index.html").read_text()


def test_names_that_cannot_be_printed(doctor, write_dataset, tmp_path):
    names = ["left_\ud800", "\x1b[31m right_\n", *"abcdefghijklmno"]
    json_file, photos = write_dataset([person(area=0)], names=names)
    content = json.loads(json_file.read_text())
    content["images"][0]["file_name"] = "\ud800\0.png"
    json_file.write_text(json.dumps(content))
    outputs = ("--fix", tmp_path / "fixed.json", "--html", tmp_path / "page")
    code, out, _ = doctor(json_file, "--images", photos, *outputs)
    assert code == 2
    assert "(left_\\ud800, \\x1b[31m right_\\n; id 1)" in out
    assert json.loads((tmp_path / "fixed.json").read_text())["categories"] == content["categories"]


def test_names_from_a_schema(doctor, write_dataset, tmp_path):
    json_file, _ = write_dataset([person(num_keypoints=17, iscrowd=0)], names=())
    short = tmp_path / "short.json"
    content = json.loads(json_file.read_text())
    short.write_text(json.dumps(content | {"annotations": [person(keypoints=[20, 30, 2] * 14)]}))
    code, out, _ = doctor(short, "--schema", "coco")
    assert code == 2
    assert "ERROR schema-absent" in out
    assert "ERROR keypoints-length" in out
    before = json_file.read_bytes()
    code, _, err = doctor(json_file, "--schema", "coco", "--fix", tmp_path / "fixed.json")
    assert code == 2
    assert "\n  categories: keypoints taken from the schema (1)\n" in err
    assert json_file.read_bytes() == before
    assert read_schemas(str(tmp_path / "fixed.json")) == {"person": COCO_PERSON}
    for schema in ("coco", tmp_path / "fixed.json"):
        code, out, _ = doctor(tmp_path / "fixed.json", "--schema", schema)
        assert (code, out.splitlines()[-1]) == (0, "nothing wrong")


def test_schemas_that_cannot_be_used(doctor, dataset, tmp_path):
    json_file, _ = dataset
    schema = tmp_path / "schema.json"
    thumb = {"id": 1, "name": "hand", "keypoints": ["thumb"]}
    for categories, message in (
        (None, "no list under 'categories'"),
        ([], "no category with names under 'keypoints'"),
        ([1, thumb], "not an object"),
        ([thumb, thumb], "two categories named 'hand'"),
        ([thumb | {"keypoints": ["thumb", "thumb"]}], "not distinct texts"),
        ([thumb | {"keypoints": "thumb"}], "no category with names"),
        ([thumb | {"skeleton": [[1, 2]]}], "skeleton names keypoints that are not there"),
        ([thumb | {"skeleton": 3}], "skeleton is not a list"),
        ([thumb | {"oks_sigmas": [0]}], "oks_sigmas do not fit"),
        ([thumb | {"flip_pairs": [["thumb", "palm"]]}], "flip_pairs are not a mirror"),
    ):
        schema.write_text(json.dumps({"categories": categories}))
        check_refused(doctor, message, json_file, "--schema", schema)
    schema.write_text("{")
    check_refused(doctor, "is not JSON", json_file, "--schema", schema)
    check_refused(doctor, "is a folder; give a JSON file", json_file, "--schema", tmp_path)
    check_refused(doctor, "is not there; give a JSON file", json_file, "--schema", "person")
    check_refused(doctor, "would replace an input", json_file, "--schema", schema, "--fix", schema)


def check_refused(doctor, message: str, *arguments: object) -> None:
    code, out, err = doctor(*arguments)
    assert (code, out) == (2, ""), arguments
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_leaked_photos(doctor, dataset):
    json_file, photos = dataset
    against = ("--against", json_file, "--against-images", photos)
    code, out, _ = doctor(json_file, "--images", photos, *against)
    assert code == 2
    assert "ERROR photo-leaked\n  1 image: same content as a photo of the other dataset" in out


def test_wrong_input_is_one_line(doctor, dataset, tmp_path):
    json_file, photos = dataset
    (tmp_path / "link.json").symlink_to(json_file)
    os.link(json_file, tmp_path / "hard.json")
    (tmp_path / "list.json").write_text("[]")
    before = sorted(tmp_path.iterdir())
    for arguments, message in (
        ((tmp_path / "nothing.json",), "it is not there"),
        ((tmp_path,), "it is a folder"),
        ((json_file, "--images", tmp_path / "nowhere"), "--images"),
        ((json_file, "--images", json_file), "is a file, not a folder"),
        ((json_file, "--fix", json_file), "would replace an input"),
        ((json_file, "--fix", tmp_path / "link.json"), "would replace an input"),
        ((json_file, "--fix", tmp_path / "hard.json"), "would replace an input"),
        ((json_file, "--fix", tmp_path), "is a folder; name a file"),
        ((json_file, "--fix", tmp_path / "no/where.json"), "not a folder that can be written"),
        ((json_file, "--html", json_file), "is a file; name a folder"),
        ((json_file, "--against", json_file), "give --images and --against-images as well"),
        ((json_file, "--against-images", photos), "--against, which is not given"),
        (
            (json_file, "--images", photos, "--against", tmp_path / "list.json")
            + ("--against-images", photos),
            "list.json is not in COCO's format",
        ),
    ):
        check_refused(doctor, message, *arguments)
    assert sorted(tmp_path.iterdir()) == before


def test_what_cannot_be_corrected(doctor, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{"images": [\n{]}')
    code, out, err = doctor(path, "--fix", tmp_path / "fixed.json", "--html", tmp_path / "page")
    assert code == 2
    assert "line 2 column 2" in out
    assert "nothing can be corrected" in err
    assert not (tmp_path / "fixed.json").exists()


def test_a_file_larger_than_memory(doctor, tmp_path):
    path = tmp_path / "huge.json"
    with open(path, "wb") as stream:
        stream.truncate(10**13)  # a hole: takes no disk
    code, out, _ = doctor(path)
    assert code == 2
    assert "GB of memory" in out
