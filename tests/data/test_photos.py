"""Photos as people really have them, each through mapper and model input."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from detectron2.data import transforms as T
from helpers.annotations import person
from PIL import Image

from pose_project.data import KeypointMapper
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import UnreadablePhotoError

H, W = 48, 64


@pytest.fixture
def colours() -> np.ndarray:
    """A photo (H, W, 3) RGB whose upper left quarter is red and the rest blue."""
    photo = np.zeros((H, W, 3), np.uint8)
    photo[..., 2] = 200
    photo[: H // 2, : W // 2] = (200, 0, 0)
    return photo


def load(path, annotations=(), height=H, width=W) -> dict:
    photo = {"file_name": str(path), "height": height, "width": width, "image_id": 1}
    mapper = KeypointMapper([], COCO_PERSON.hflip_indices, image_format="RGB")
    return mapper({**photo, "annotations": list(annotations)})


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("grey.jpg", "L", {}),
        ("rgba.png", "RGBA", {}),
        ("cmyk.jpg", "CMYK", {}),
        ("palette.png", "P", {}),
        ("progressive.jpg", "RGB", {"progressive": True}),
        ("photo.webp", "RGB", {"lossless": True}),
    ],
)
def test_colour_modes_and_codings(tmp_path, colours, name, mode, options):
    Image.fromarray(colours).convert(mode).save(tmp_path / name, **options)
    image = load(tmp_path / name)["image"].float()
    assert image.shape == (3, H, W)
    red, blue = image[:, 5, 5], image[:, -5, -5]
    if mode == "L":
        assert red.std() == 0
    else:
        assert red[0] > red[2] + 100 and blue[2] > blue[0] + 100


def test_sixteen_bits(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((H, W), 40_000, np.uint16))
    assert load(tmp_path / "deep.png")["image"].shape == (3, H, W)


def test_exif_rotation_is_applied(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter to the right
    Image.fromarray(colours).save(tmp_path / "turned.png", exif=exif)
    image = load(tmp_path / "turned.png", height=W, width=H)["image"]
    assert image.shape == (3, W, H)
    assert image[0, 5, -5] > 100  # what was the upper left corner is the upper right one now


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_truncated_photos_are_named(tmp_path, colours, keep):
    Image.fromarray(colours).save(tmp_path / "whole.jpg")
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:keep])
    with pytest.raises(UnreadablePhotoError, match=r"torn\.jpg cannot be used"):
        load(tmp_path / "torn.jpg")


def test_another_size_than_annotated_is_named(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "a.png")
    with pytest.raises(UnreadablePhotoError, match=r"a\.png cannot be used.*Mismatched"):
        load(tmp_path / "a.png", height=W, width=H)


def test_a_decompression_bomb_is_refused(tmp_path, colours):
    """A small PNG whose header announces 40,000 x 40,000 pixels."""
    Image.fromarray(colours).save(tmp_path / "bomb.png")
    png = bytearray((tmp_path / "bomb.png").read_bytes())
    png[16:24] = struct.pack(">II", 40_000, 40_000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(UnreadablePhotoError, match="decompression bomb"):
        load(tmp_path / "bomb.png", height=40_000, width=40_000)


def annotation(**changes) -> dict:
    base = person(**changes)
    return {**base, "bbox_mode": 1, "category_id": 0}  # XYWH_ABS, contiguous


def test_five_hundred_people_and_one_of_a_pixel(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "a.png")
    tiny = annotation(bbox=[3, 3, 1, 1], keypoints=[3.5, 3.5, 2] * 17)
    instances = load(tmp_path / "a.png", [annotation()] * 500 + [tiny])["instances"]
    assert len(instances) == 501
    assert instances.gt_boxes.tensor[-1].tolist() == [3, 3, 4, 4]


@pytest.mark.parametrize("people", [[], [annotation(iscrowd=1)]], ids=["nobody", "all crowd"])
def test_photos_without_a_person_to_learn(tmp_path, colours, people):
    Image.fromarray(colours).save(tmp_path / "a.png")
    assert len(load(tmp_path / "a.png", people)["instances"]) == 0


def test_ten_thousand_pixels(tmp_path):
    cv2.imwrite(str(tmp_path / "long.png"), np.zeros((100, 10_000, 3), np.uint8))
    mapper = KeypointMapper([T.ResizeShortestEdge(96, 320)], COCO_PERSON.hflip_indices)
    photo = {"file_name": str(tmp_path / "long.png"), "height": 100, "width": 10_000}
    assert mapper({**photo, "annotations": []})["image"].shape == (3, 3, 320)
