"""The resizing of a config's evaluation, as part of an exported graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.data import transforms as T
from PIL import Image
from torch import Tensor

from pose_project.extras.export.pillow_resize import divide, pillow_resize
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra


@dataclass(frozen=True)
class ResizeRule:
    """How large a photo becomes, and by which filter.

    Attributes:
        short_edge: length of the shorter side in pixels.
        max_size: the longer side may not exceed it; then the shorter one is less.
        antialias: filter as Pillow does, on whole numbers (Detectron2's ``ResizeShortestEdge``);
            otherwise sample floating point values without a filter (``BilinearResize``).
    """

    short_edge: int
    max_size: int
    antialias: bool

    @classmethod
    def of(cls, augmentations: Sequence[Any]) -> "ResizeRule":
        """Return the rule of a config's evaluation.

        Raises:
            InputError: if it does anything but resize once, to a fixed length, bilinearly.
        """
        kinds = [type(each) for each in augmentations]
        torchvision = find_extra("other_models.torchvision_resize")
        if torchvision and kinds == [torchvision.BilinearResize]:
            (resize,) = augmentations
            lengths, antialias = set(resize.short_edge_lengths.tolist()), False
        elif kinds == [T.ResizeShortestEdge] and augmentations[0].interp == Image.BILINEAR:
            (resize,) = augmentations
            lengths, antialias = set(resize.short_edge_length), True
        else:
            names = ", ".join(kind.__name__ for kind in kinds) or "none"
            raise InputError(
                "only a model whose dataloader.test.mapper.augmentations are one bilinear "
                f"ResizeShortestEdge can be exported; this config has: {names}"
            )
        if len(lengths) != 1:
            raise InputError(f"evaluation resizes to one of {sorted(lengths)}; set a single length")
        return cls(int(lengths.pop()), int(min(resize.max_size, 2**31 - 1)), antialias)

    def size_of(self, sides_hw: Tensor) -> Tensor:
        """Return (2,) int64, height and width after resizing, of (2,) int64 before.

        Detectron2 and torchvision round floating point numbers: here the same sizes are computed in
        whole numbers, since runtimes such as OpenVINO do not have float64. It decides only where a
        side is exactly on the border between two sizes, and float64 may round it either way.
        """
        shortest, longest = sides_hw.amin(0, keepdim=True), sides_hw.amax(0, keepdim=True)
        is_limited = self.short_edge * longest.float() > self.max_size * shortest.float()
        length = torch.where(is_limited, self.max_size, self.short_edge)
        divisor = torch.where(is_limited, longest, shortest)
        if self.antialias:
            whole, rest = divide(2 * length * sides_hw + divisor, 2 * divisor)
        else:
            whole, rest = divide(length * sides_hw, divisor)
        whole = torch.where(rest == 0, self._size_in_floats(sides_hw), whole)
        return whole.clamp(min=1)

    def _size_in_floats(self, sides_hw: Tensor) -> Tensor:
        """Return the same size in float64, in the order of the originals' operations."""
        sides = sides_hw.double()
        shortest, longest = sides.amin(0, keepdim=True), sides.amax(0, keepdim=True)
        # tensors: a number divided by a tensor is a product with its reciprocal, rounded twice
        short_edge, max_size = (
            torch.tensor([float(each)], dtype=torch.float64)
            for each in (self.short_edge, self.max_size)
        )
        if not self.antialias:
            return (sides * torch.minimum(short_edge / shortest, max_size / longest)).floor().long()
        lengths = torch.where(sides == shortest, short_edge, (short_edge / shortest) * sides)
        longest = lengths.amax(0, keepdim=True)
        lengths = torch.where(longest > max_size, lengths * (max_size / longest), lengths)
        return (lengths + 0.5).floor().long()

    def resize(self, image: Tensor, size_hw: Tensor) -> Tensor:
        """Return (1, 3, h, w) float32 in [0, 255] of an (H, W, 3) uint8 photo."""
        if self.antialias:
            return pillow_resize(image, size_hw).permute(2, 0, 1)[None].float()
        planes = image.permute(2, 0, 1)[None].float()
        size = size_hw.unbind() if torch.jit.is_tracing() else size_hw.tolist()
        return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)
