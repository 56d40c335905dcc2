"""What each augmentation of a mapper does to a photo."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from detectron2.data import transforms as T

from pose_project.data.loader import seeded
from pose_project.data.mapper import KeypointMapper
from pose_project.utils.extras import find_extra

_DRAWS = 30  # one that is applied to a tenth of the photos acts in 96 of 100 sheets


def apply_each(
    mapper: KeypointMapper, record: dict[str, Any], seed: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield names and model inputs: the photo, each augmentation on its own, and all in order.

    Each on its own is the draw of several that changes the photo most, else the reader would see
    nothing of those that act now and then; all in order are drawn as in training.

    Args:
        mapper: not changed.
        record: dataset dict.
        seed: of the draws.
    """
    plain = _mapper_with(mapper, [])(record)
    yield "the photo", plain
    for augmentation in mapper.augmentations.augs:
        yield (
            describe(augmentation),
            _strongest(_mapper_with(mapper, [augmentation]), record, plain, seed),
        )
    for number in range(2):
        with seeded(seed, number):
            yield f"all, draw {number + 1}", mapper(record)


def describe(augmentation: T.Augmentation | T.Transform) -> str:
    """Return the names of what is applied, without what only wraps it."""
    if isinstance(augmentation, T.RandomApply):
        return describe(augmentation.aug)
    colour = find_extra("augmentation.colour")
    if type(augmentation) in (T.AugmentationList, colour and colour.InRGB):
        names = [describe(each) for each in augmentation.augs]
        return " + ".join(name for name in names if name != "ColorTransform")
    wrapped = getattr(augmentation, "tfm", augmentation)  # a transform in a list of augmentations
    return type(wrapped).__name__


def _mapper_with(
    mapper: KeypointMapper, augmentations: Sequence[T.Augmentation | T.Transform]
) -> KeypointMapper:
    changed = copy.copy(mapper)
    changed.augmentations = T.AugmentationList(list(augmentations))
    return changed


def _strongest(
    mapper: KeypointMapper, record: dict[str, Any], plain: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Return the draw that changes the photo most; another size is more than any colour."""
    strongest, most = plain, 0.0
    for attempt in range(_DRAWS):
        with seeded(seed, attempt):
            mapped = mapper(record)
        if mapped["image"].shape != plain["image"].shape:
            return mapped
        change = (mapped["image"].float() - plain["image"].float()).abs().mean().item()
        if change > most:
            strongest, most = mapped, change
    return strongest
