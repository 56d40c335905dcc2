"""Photos are those that Detectron2's reader returns, whoever decodes them."""

import cv2
import numpy as np
import pytest
from detectron2.data import detection_utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_project.data import image_reading
from pose_project.data.image_reading import read_photo, upright_size_wh
from pose_project.utils.errors import UnreadablePhotoError


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    """Smooth colours, edges and noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:75, :101]
    photo = np.stack([2 * x, 3 * y, (x // 9 + y // 7) % 2 * 200], axis=2)
    return Image.fromarray(np.clip(photo + rng.normal(0, 9, photo.shape), 0, 255).astype(np.uint8))


def assert_as_detectron2(path, image_format="BGR") -> np.ndarray | None:
    """Compare with Detectron2's reader; both may refuse the photo."""
    try:
        expected = detection_utils.read_image(str(path), image_format)
    except Exception:
        with pytest.raises(UnreadablePhotoError):
            read_photo({"file_name": str(path)}, image_format)
        return None
    photo = {"file_name": str(path)}
    actual = read_photo(photo, image_format)
    assert actual.dtype == np.uint8 and np.array_equal(actual, expected)
    assert (photo["height"], photo["width"]) == actual.shape[:2]
    return actual


SAVED = {
    "plain": {},
    "all colours": {"subsampling": 0},
    "half the colours": {"subsampling": 1},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True, "quality": 30},
    "RGB inside": {"keep_rgb": True},
    "restart markers": {"restart_marker_rows": 1},
}


@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
@pytest.mark.parametrize("name", SAVED)
def test_jpegs(tmp_path, scene, name, image_format, monkeypatch):
    scene.save(tmp_path / "a.jpg", **SAVED[name])
    expected = assert_as_detectron2(tmp_path / "a.jpg", image_format)

    def pillow(*args, **kwargs):
        raise AssertionError("this is a common JPEG")

    monkeypatch.setattr(image_reading.detection_utils, "convert_PIL_to_numpy", pillow)
    assert np.array_equal(
        read_photo({"file_name": str(tmp_path / "a.jpg")}, image_format), expected
    )


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk(tmp_path, scene, mode):
    scene.convert(mode).save(tmp_path / "a.jpg")
    assert assert_as_detectron2(tmp_path / "a.jpg") is not None


@pytest.mark.parametrize("orientation", range(10))
def test_exif_orientations(tmp_path, scene, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    scene.save(tmp_path / "a.jpg", exif=exif)
    image = assert_as_detectron2(tmp_path / "a.jpg")
    assert image.shape == ((101, 75, 3) if 5 <= orientation <= 8 else (75, 101, 3))
    with Image.open(tmp_path / "a.jpg") as stored:
        assert upright_size_wh(stored) == image.shape[1::-1]


@pytest.mark.parametrize(
    "exif", [b"garbage", b"MM\x00\x2a\xff", b"II\x2a\x00\x08\x00\x00\x00\xff\xff"]
)
def test_damaged_exif_data_do_not_count(tmp_path, scene, exif):
    scene.save(tmp_path / "a.jpg", exif=b"Exif\x00\x00" + exif)
    assert assert_as_detectron2(tmp_path / "a.jpg").shape == (75, 101, 3)
    with Image.open(tmp_path / "a.jpg") as stored:
        assert upright_size_wh(stored) == (101, 75)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.bmp", "a.gif", "a.tiff", "png.jpg"])
def test_other_formats(tmp_path, scene, name):
    scene.save(tmp_path / name, format="png" if name == "png.jpg" else None)
    assert assert_as_detectron2(tmp_path / name) is not None


def test_what_comes_after_the_end(tmp_path, scene):
    scene.save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + b"\0trailer")
    assert assert_as_detectron2(tmp_path / "b.jpg") is not None


@pytest.mark.parametrize("restarts", [{}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("byte", [0xD0, 0xD9, 0xDA, 0xFF])
def test_markers_in_the_midst_of_pixels(tmp_path, scene, byte, restarts):
    """OpenCV alone would make up the pixels after them."""
    scene.save(tmp_path / "a.jpg", **restarts)
    content = (tmp_path / "a.jpg").read_bytes()
    for place in range(len(content) // 2, len(content) - 40, 97):
        damaged = content[:place] + bytes([0xFF, byte]) + content[place + 2 :]
        (tmp_path / "b.jpg").write_bytes(damaged)
        assert_as_detectron2(tmp_path / "b.jpg")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_photos(tmp_path, scene, data):
    """Torn and altered: the same pixels as before, or refused as before."""
    scene.save(tmp_path / "a.jpg", progressive=data.draw(st.booleans()))
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(2, len(content) - 3))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
        content += b"\xff\xd9" * data.draw(st.integers(0, 1))
    (tmp_path / "b.jpg").write_bytes(content)
    assert_as_detectron2(tmp_path / "b.jpg")


@pytest.mark.integration
def test_real_photos(test_data):
    photos = sorted(test_data.glob("coco/*2017/*.jpg"))
    assert len(photos) > 100
    for path in photos:
        assert_as_detectron2(path)


def test_opencv_is_told_to_turn_nothing(tmp_path, scene):
    """It would, by its own reading of EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = 6
    scene.save(tmp_path / "a.jpg", exif=exif)
    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (101, 75, 3)
    assert image_reading._decode_common_jpeg((tmp_path / "a.jpg").read_bytes(), "BGR") is None


def test_what_is_no_photo_is_said_so(tmp_path):
    note = tmp_path / "note.jpg"
    note.write_text("no photo")
    with pytest.raises(
        UnreadablePhotoError, match=r"note\.jpg cannot be used: it is not a photo of a known kind$"
    ):
        read_photo({"file_name": str(note)}, "BGR")
