"""Pixels of every kind: one rule for training, prediction, the server and the doctor."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.repository import load_tool
from PIL import Image, features

from pose_project.data.image_reading import check_pixels, decode_photo, read_photo, to_eight_bits
from pose_project.extras.doctor.check_images import State, open_photo
from pose_project.utils.errors import UnreadablePhotoError

RAMP = np.linspace(0, 65535, 64 * 80).reshape(64, 80).astype(np.uint16)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_the_higher_eight_as_in_opencv(tmp_path, suffix, channels):
    path = tmp_path / f"deep{suffix}"
    deep = np.repeat(RAMP[..., None], channels, axis=2)
    cv2.imwrite(str(path), deep[..., 0] if channels == 1 else deep)
    if suffix == ".tif" and channels == 3:
        pytest.skip("Pillow cannot read colour TIFFs of 16 bits; they are refused in one line")
    ours = read_photo({"file_name": str(path)}, "BGR")
    assert (ours[..., 0] == RAMP >> 8).all()
    assert (ours == cv2.imread(str(path))).all()
    assert open_photo(path).has_sixteen_bits == (channels == 1)


@pytest.mark.parametrize(
    ("image", "kind", "options", "message"),
    [
        (Image.new("F", (8, 6), 0.5), "TIFF", {}, "floating point numbers of 32 bits"),
        (Image.new("I", (8, 6), 70_000), "TIFF", {}, "whole numbers of 32 bits"),
        (Image.new("L", (8, 6)), "TIFF", {"save_all": True}, "it has 2 pages"),
        (Image.new("RGB", (8, 6)), "GIF", {"save_all": True}, "it has 2 frames"),
        (Image.new("RGB", (8, 6)), "WEBP", {"save_all": True}, "it has 2 frames"),
        (Image.new("RGB", (8, 6)), "PNG", {"save_all": True}, "it has 2 frames"),
    ],
)
def test_what_has_no_eight_bits_is_refused_in_one_line(tmp_path, image, kind, options, message):
    if options:
        second = Image.new(image.mode, image.size, "white")
        options = {**options, "append_images": [second]}
    path = tmp_path / f"photo.{kind.lower()}"
    path.write_bytes(encoded(image, kind, **options))
    with pytest.raises(UnreadablePhotoError, match=message):
        read_photo({"file_name": str(path)}, "BGR")
    with Image.open(path) as opened, pytest.raises(UnreadablePhotoError, match=message):
        check_pixels(opened)
    assert open_photo(path).state is State.REFUSED


def test_transparency_is_left_out_as_in_opencv(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 8, 4), np.uint8)
    path = tmp_path / "clear.png"
    Image.fromarray(pixels, "RGBA").save(path)
    ours = read_photo({"file_name": str(path)}, "RGB")
    assert (ours == pixels[..., :3]).all()
    assert (ours[..., ::-1] == cv2.imread(str(path))).all()


def test_a_palette_with_transparency_shows_its_colours():
    image = Image.new("P", (8, 6), 1)
    image.putpalette([255, 255, 255, 10, 200, 30])
    data = encoded(image, "PNG", transparency=1)
    assert (decode_photo(data, "RGB") == (10, 200, 30)).all()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif():
    data = encoded(Image.new("RGB", (32, 16), (10, 200, 30)), "AVIF", quality=95)
    assert np.abs(decode_photo(data, "RGB").astype(int) - (10, 200, 30)).max() <= 6


def test_heic():
    pytest.importorskip("pi_heif", reason="pi-heif is not installed: pip install -e '.[heif]'")
    path = Path(__file__).with_name("files") / "two_halves.heic"
    image = read_photo({"file_name": str(path)}, "RGB").astype(int)
    assert image.shape == (8, 16, 3)
    assert np.abs(image[:, :6] - (10, 200, 30)).max() < 12
    assert np.abs(image[:, 10:] - (200, 20, 40)).max() < 12


def test_heic_without_its_decoder_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "registered_extensions", dict)
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(UnreadablePhotoError, match="pip install pi-heif"):
        read_photo({"file_name": str(path)}, "BGR")


def test_eight_bits_stay_the_same_object():
    image = Image.new("RGB", (8, 6))
    assert to_eight_bits(image) is image


def test_the_grey_photo_that_was_white(test_data):
    path = test_data.parent / "cases/gray16.png"
    if not path.is_file():
        pytest.skip("the small inputs that were read wrongly are not at hand")
    image = read_photo({"file_name": str(path)}, "BGR")
    assert 20 < image.mean() < 235 and image.std() > 10


def test_the_example_of_an_export_reads_photos_alike(tmp_path):
    read = load_tool("onnx_example").read_photo
    deep, pages, floats = (tmp_path / name for name in ("deep.png", "pages.tif", "floats.tif"))
    cv2.imwrite(str(deep), RAMP)
    assert (read(deep) == read_photo({"file_name": str(deep)}, "BGR")).all()
    page = Image.new("L", (8, 6))
    page.save(pages, save_all=True, append_images=[page])
    Image.new("F", (8, 6)).save(floats)
    for path, message in ((pages, "several pictures"), (floats, "float32 values")):
        with pytest.raises(ValueError, match=message):
            read(path)
