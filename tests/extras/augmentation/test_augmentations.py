"""Photo, points and sides agree after every augmentation and every composition of them."""

import cv2
import numpy as np
import pytest
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.data.annotation_transforms import (
    is_mirror,
    is_turned,
    linear_part,
    move_keypoints,
)
from pose_project.data.augmentation.augmented_image import AugmentedImage, resize_filtered
from pose_project.data.augmentation.polygons import rectangle
from pose_project.data.loader import seeded
from pose_project.extras.augmentation import (
    AffineTransform,
    Grey,
    InRGB,
    PersonCrop,
    RandomAffine,
    RandomBlur,
)
from pose_project.utils.errors import InputError

H, W = 240, 320
LEFT, RIGHT, NOSE = 0, 1, 2  # rows of the points; the first two swap in a mirror
SWAP = np.array([RIGHT, LEFT, NOSE])
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])
BOXES = np.array([[60.0, 50, 230, 200]])

GEOMETRIC = {
    "flip": T.RandomFlip(prob=1.0),
    "vertical flip": T.RandomFlip(prob=1.0, horizontal=False, vertical=True),
    "resize": T.ResizeShortestEdge((180, 300), 500, "range"),
    "scale": T.ResizeScale(0.6, 1.6, H, W),
    "large-scale jitter": T.AugmentationList(
        [T.ResizeScale(0.7, 1.5, 320, 320), T.FixedSizeCrop((320, 320))]
    ),
    "affine": RandomAffine((-180, 180), (0.7, 1.5)),
    "crop of a person": PersonCrop((1.3, 2.0)),
    "pad": T.PadTransform(13, 20, 5, 0, W, H),
}
STOCK_ONLY = {
    "stock rotation": T.RandomRotation([-180, 180]),
    "stock rotation in place": T.RandomRotation([-40, 40], expand=False),
    "stock crop": T.RandomCrop("relative_range", (0.7, 0.7)),
    "stock extent": T.RandomExtent((0.8, 1.2), (0.1, 0.1)),
}
COLOUR = {
    "blur": RandomBlur((0.5, 2.0)),
    "brightness": T.RandomBrightness(0.7, 1.3),
    "contrast": T.RandomContrast(0.7, 1.3),
    "saturation": InRGB([T.RandomSaturation(0.5, 1.5)], "BGR"),
    "light": InRGB([T.RandomLighting(25.0)], "BGR"),
    "grey": Grey("BGR"),
}


def painted() -> tuple[np.ndarray, np.ndarray]:
    """A dark photo with a disc in each point's own colour, and the (1, 3, 3) points."""
    points = np.array([[[110.0, 100, 2], [190, 110, 2], [150, 140, 2]]])
    photo = np.full((H, W, 3), 20, np.uint8)
    for (x, y, _), colour in zip(points[0], COLOURS, strict=True):
        # OpenCV counts from pixel centres, in 1/256 of a pixel here
        centre = (round((x - 0.5) * 256), round((y - 0.5) * 256))
        cv2.circle(photo, centre, 9 * 256, colour.tolist(), -1, cv2.LINE_AA, 8)
    return photo, points


def found(photo: np.ndarray, channel: int) -> np.ndarray:
    """Return the centre (x, y) of the disc of a colour."""
    others = np.delete(photo.astype(float), channel, axis=2).max(axis=2)
    weight = np.clip(photo[..., channel] - others - 30, 0, None)
    assert weight.max() > 60
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] + 0.5
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def augment(augmentations, seed: int, fast_resize: bool = True):
    photo, points = painted()
    augmented = AugmentedImage(photo, BOXES.copy(), fast_resize)
    with seeded(seed):
        transforms = T.AugmentationList(list(augmentations))(augmented)
    mirrored = is_mirror(linear_part(transforms, (H, W)))
    region = augmented.region
    size_hw = augmented.image.shape[:2]
    moved = move_keypoints(points, transforms, size_hw, region, SWAP if mirrored else None)
    return augmented, transforms, moved[0], mirrored


@pytest.mark.parametrize("name", [*GEOMETRIC, *STOCK_ONLY])
def test_points_lie_where_the_photo_shows_them(name):
    compared = 0
    for seed in range(6):
        augmented, _, moved, mirrored = augment([(GEOMETRIC | STOCK_ONLY)[name]], seed)
        assert mirrored == ("flip" in name)
        rows = SWAP if mirrored else [LEFT, RIGHT, NOSE]
        for row, colour in zip(rows, (LEFT, RIGHT, NOSE), strict=True):
            x, y, v = moved[row]
            if v and is_deep(augmented, (x, y)):
                np.testing.assert_allclose(found(augmented.image, colour), (x, y), atol=0.1)
                compared += 1
    assert compared >= 8


def is_deep(augmented: AugmentedImage, point) -> bool:
    """Whether the whole disc at a point is in the photo's part of the picture."""
    region = rectangle(augmented.image.shape[:2]) if augmented.region is None else augmented.region
    outline = region.astype(np.float32)
    return cv2.pointPolygonTest(outline, tuple(map(float, point)), True) > 16


compositions = st.lists(st.sampled_from(sorted(GEOMETRIC)), min_size=1, max_size=4)


@settings(max_examples=60)
@given(compositions, st.integers(0, 2**32 - 1))
def test_compositions_invert(names, seed):
    _, transforms, _, mirrored = augment([GEOMETRIC[name] for name in names], seed)
    flips = sum("flip" in name for name in names)
    assert mirrored == (flips % 2 == 1)
    points = np.random.default_rng(seed).uniform(0, H, (20, 2))
    back = transforms.inverse().apply_coords(transforms.apply_coords(points.copy()))
    np.testing.assert_allclose(back, points, atol=0.01)


@settings(max_examples=40)
@given(compositions, st.integers(0, 2**32 - 1))
def test_sides_are_those_of_the_picture(names, seed):
    """Left is where the left's colour is: the swapped row in a mirror, and the order turns."""
    augmented, _, moved, mirrored = augment([GEOMETRIC[name] for name in names], seed)
    for row, colour in zip(SWAP if mirrored else (0, 1, 2), (LEFT, RIGHT, NOSE), strict=True):
        x, y, v = moved[row]
        if v and is_deep(augmented, (x, y)):
            near = augmented.image[int(y), int(x)]
            assert near.argmax() == colour and near.max() > 100
    if (moved[:, 2] > 0).all():
        a, b = moved[RIGHT, :2] - moved[LEFT, :2], moved[NOSE, :2] - moved[LEFT, :2]
        # the nose is on the same hand of the line from left to right as before
        assert a[0] * b[1] - a[1] * b[0] > 0


@pytest.mark.parametrize("name", COLOUR)
def test_colours_move_nothing(name):
    augmented, transforms, moved, mirrored = augment([COLOUR[name]], 1)
    photo, points = painted()
    assert not mirrored and augmented.region is None
    assert np.array_equal(moved, points[0])
    assert augmented.image.shape == photo.shape and augmented.image.dtype == np.uint8
    assert not np.array_equal(augmented.image, photo)
    mask = np.eye(4, dtype=np.uint8)
    assert np.array_equal(transforms.apply_segmentation(mask), mask)
    if name == "grey":
        assert (augmented.image == augmented.image[..., :1]).all()


def test_grey_weighs_the_colours_of_the_right_channels():
    """Stock saturation takes blue for red in a BGR photo."""
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 0] = 200
    grey = T.RandomSaturation(0.0, 0.0)
    stock, ours = (T.AugInput(blue) for _ in range(2))
    grey(stock)
    Grey("BGR")(ours)
    assert stock.image[0, 0, 0] == int(0.299 * 200)
    assert ours.image[0, 0, 0] == int(0.114 * 200)


@pytest.mark.parametrize("size_hw", [(240, 320), (240, 321), (241, 320)])
def test_the_stock_rotation_does_not_come_back(size_hw):
    """The fault that AffineTransform mends: half a pixel, for sides of another parity."""
    h, w = size_hw
    points = np.random.default_rng(0).uniform(0, h, (20, 2))
    errors = []
    for angle in range(5, 90, 5):
        stock = T.RotationTransform(h, w, angle)
        errors.append(np.abs(stock.inverse().apply_coords(stock.apply_coords(points)) - points))
        ours = RandomAffine((angle, angle)).get_transform(np.empty((h, w, 3)))
        back = ours.inverse().apply_coords(ours.apply_coords(points))
        np.testing.assert_allclose(back, points, atol=1e-9)
    assert np.max(errors) == pytest.approx(0.5, abs=0.01)


def test_stock_fixed_size_crops_lie_on_a_diagonal():
    """Why large-scale jitter here crops with RandomCrop: one number serves for x and y."""
    photo = np.zeros((200, 300, 3), np.uint8)
    for _ in range(20):
        crop = T.FixedSizeCrop((100, 100)).get_transform(photo)[0]
        assert abs(crop.y0 / 100 - crop.x0 / 200) < 0.011


@pytest.mark.parametrize(
    ("matrix", "mirrored", "turned"),
    [
        ([[1, 0, 3], [0, 1, 4]], False, False),
        ([[-1, 0, 320], [0, 1, 0]], True, False),
        ([[0, -1, 240], [1, 0, 0]], False, False),
        ([[0, 1, 0], [1, 0, 0]], True, False),
        ([[0.8, -0.6, 50], [0.6, 0.8, 0]], False, True),
        ([[0.8, 0.6, 0], [0.6, -0.8, 90]], True, True),
        ([[1, 0.3, 0], [0, 1, 0]], False, True),
    ],
    ids=["shift", "mirror", "quarter", "transposed", "turn", "turned mirror", "shear"],
)
def test_any_affine_map_says_what_it_is(matrix, mirrored, turned):
    transform = AffineTransform(matrix, (H, W), (H, W))
    linear = linear_part(transform, (H, W))
    np.testing.assert_allclose(linear, np.array(matrix)[:, :2], atol=1e-12)
    assert (is_mirror(linear), is_turned(linear)) == (mirrored, turned)


def test_affine_images_and_masks_by_hand():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    turn = AffineTransform([[0, -1, 3], [1, 0, 0]], (3, 4), (4, 3), fill=7)
    assert turn.apply_image(image).tolist() == np.rot90(image, -1).tolist()
    assert (
        turn.apply_segmentation(image[..., 0] > 5).tolist()
        == np.rot90(image[..., 0] > 5, -1).tolist()
    )
    shift = AffineTransform([[1, 0, 1], [0, 1, 0]], (3, 4), (3, 4), fill=7)
    assert shift.apply_image(image)[0, :, 0].tolist() == [7, 0, 1, 2]
    assert shift.apply_segmentation(image[..., 0]).tolist()[0] == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="onto a line"):
        AffineTransform([[1, 1, 0], [1, 1, 0]], (3, 4), (3, 4))


def test_augmentation_is_a_function_of_numpys_state():
    everything = [*GEOMETRIC.values(), *STOCK_ONLY.values(), *COLOUR.values()]
    pictures = [augment(everything, seed) for seed in (5, 5, 6)]
    (first, _, points, _), (again, _, same, _), (other, _, _, _) = pictures
    assert np.array_equal(first.image, again.image) and np.array_equal(points, same)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


def test_a_crop_holds_its_person():
    for seed in range(10):
        augmented, transforms, _, _ = augment([PersonCrop((1.3, 1.3), shift=0.1)], seed)
        height, width = augmented.image.shape[:2]
        (box,) = transforms.apply_box(BOXES)
        assert (box >= 0).all() and box[2] <= width and box[3] <= height
        assert max(height, width) <= 1.3 * 170 + 2


def test_a_crop_without_people_is_the_photo():
    photo = np.zeros((H, W, 3), np.uint8)
    for boxes in (np.zeros((0, 4)), np.array([[400.0, 0, 500, 30]])):
        assert isinstance(PersonCrop().get_transform(photo, boxes), T.NoOpTransform)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomAffine((5, -5)),
        lambda: RandomAffine(scale=(0, 1)),
        lambda: PersonCrop((0.5, 2)),
        lambda: PersonCrop(shift=0.5),
        lambda: RandomBlur((0, 1)),
        lambda: InRGB([], "GBR"),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize("size_hw", [(320, 427), (200, 200), (800, 1067), (480, 640), (1, 1)])
def test_fast_resize_is_pillows_but_for_rounding(size_hw):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    pillow = T.ResizeTransform(480, 640, *size_hw).apply_image(noise)
    difference = np.abs(resize_filtered(noise, size_hw).astype(int) - pillow)
    assert difference.max() <= 1 and difference.mean() < 5e-3
