"""Pillow's bilinear resizing of uint8 photos in tensor operations, the same to the last bit.

Pillow (``libImaging/Resample.c``) makes the rows shorter, then the columns. Along an axis each
output is a weighted mean of the T inputs under a triangle as wide as the scale. Weights are whole
multiples of 2^-22, sums are rounded to whole numbers. Kernels of other libraries, ONNX Runtime's
included, compute the weights in lower precision: one value in some hundreds then differs by 1, and
with it points of weak heatmaps by pixels. Pillow 13 takes the columns first where a photo more than
twice as tall as wide becomes smaller (found by trial); other versions may differ by 1 there.

Sums of products are exact in float32 as long as they stay below 2^24: weights are split into two
parts, of 15 and of 7 bits. Numbers are tensors of one element: those of none lose their precision
in torch's exporter.
"""

import torch
from torch import Tensor
from torch.onnx.operators import shape_as_tensor

_ROWS_AT_ONCE = 256


def tap_weights(length: Tensor, new_length: Tensor) -> tuple[Tensor, Tensor]:
    """Return (L', T) int64 and (L', 2, T) float32: inputs of each output, and their weights.

    Weights are those of ``precompute_coeffs``, as the part that counts 2^7 and the rest.

    Args:
        length: (1,) int64, L before.
        new_length: (1,) int64, L' after; L / L' is below 250.
    """
    scale = length.double() / new_length.double()
    reach = scale.clamp(min=1.0)
    outputs = torch.arange(new_length[0], dtype=torch.float64, device=length.device)
    centres = ((outputs + 0.5) * scale)[:, None]
    first = (centres - reach + 0.5).floor().clamp(min=0.0)
    end = torch.minimum((centres + reach + 0.5).floor(), length.double())
    offsets = torch.arange(reach.ceil()[0] * 2 + 1, dtype=torch.float64, device=length.device)
    taps = first + offsets
    weights = (1 - ((taps - centres + 0.5) * (1 / reach)).abs()).clamp(min=0.0)
    weights = torch.where(taps < end, weights, torch.zeros_like(weights))
    weights = weights / weights.sum(dim=1, keepdim=True)
    whole = (weights * 2.0**22 + 0.5).floor()
    high = (whole / 2.0**7).floor()
    parts = torch.stack([high, whole - high * 2.0**7], dim=1)
    return torch.minimum(taps, length.double() - 1).long(), parts.float()


def _weighted_rows(rows: Tensor, taps: Tensor, weights: Tensor) -> Tensor:
    """Return (L', M) uint8: the weighted means of (L, M) uint8 rows."""
    sums = (weights @ rows[taps].float()).double()
    return ((sums[:, 0] * 2.0**7 + sums[:, 1]) / 2.0**22 + 0.5).floor().to(torch.uint8)


@torch.jit.script
def _narrow(image: Tensor, taps: Tensor, weights: Tensor, rows_at_once: int) -> Tensor:
    """Return (H, w, 3) uint8 of an (H, W, 3) photo."""
    narrow = image[:0, :1].expand(0, taps.shape[0], 3)
    for start in range(0, image.shape[0], rows_at_once):
        part = image[start : start + rows_at_once].permute(1, 0, 2)
        resized = _weighted_rows(part.flatten(1), taps, weights)
        narrow = torch.cat([narrow, resized.unflatten(1, (-1, 3)).permute(1, 0, 2)])
    return narrow


@torch.jit.script
def _transposed(times: Tensor, image: Tensor) -> Tensor:
    # a loop of one step or none: ONNX Runtime fails at an If whose branches differ in shape
    for _ in range(int(times)):
        image = image.transpose(0, 1)
    return image


def pillow_resize(image: Tensor, size_hw: Tensor) -> Tensor:
    """Return (h, w, 3) uint8 of an (H, W, 3) uint8 photo: Pillow's ``resize(..., BILINEAR)``.

    A part of the photo at a time, so that a large one takes little memory.

    Args:
        image: the photo.
        size_hw: (2,) int64, h and w.
    """
    photo_hw = shape_as_tensor(image)[:2]
    columns_first = (photo_hw[:1] > 2 * photo_hw[1:]) & (size_hw[:1] < photo_hw[:1])
    photo_hw = torch.where(columns_first, photo_hw.flip(0), photo_hw)
    size_hw = torch.where(columns_first, size_hw.flip(0), size_hw)
    image = _transposed(columns_first.long(), image)
    narrow = _narrow(image, *tap_weights(photo_hw[1:], size_hw[1:]), _ROWS_AT_ONCE)
    resized = _weighted_rows(narrow.flatten(1), *tap_weights(photo_hw[:1], size_hw[:1]))
    return _transposed(columns_first.long(), resized.unflatten(1, (-1, 3)))
