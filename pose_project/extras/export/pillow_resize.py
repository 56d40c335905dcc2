"""Pillow's bilinear resizing of uint8 photos in tensor operations, the same to the last bit.

Pillow (``libImaging/Resample.c``) makes the rows shorter, then the columns. Along an axis each
output is a weighted mean of the T inputs under a triangle as wide as the scale. Weights are whole
multiples of 2^-22, sums are rounded to whole numbers. Kernels of other libraries, ONNX Runtime's
included, compute the weights in lower precision: one value in some hundreds then differs by 1, and
with it points of weak heatmaps by pixels. Pillow 13 takes the columns first where a photo more than
twice as tall as wide becomes smaller (found by trial); other versions may differ by 1 there.

Everything is computed in whole numbers below 2^31, and in float32 below 2^24, where it is exact:
some runtimes, such as OpenVINO, compute int64 in 32 bits and float64 in float32. For that, weights
are split into two parts, of 15 and of 7 bits. Numbers are tensors of one element: those of none
lose their precision in torch's exporter.
"""

import torch
from torch import Tensor
from torch.onnx.operators import shape_as_tensor

_ROWS_AT_ONCE = 256


def divide(dividend: Tensor, divisor: Tensor) -> tuple[Tensor, Tensor]:
    """Return quotient and remainder of whole numbers from 0; the quotient is below 2^21.

    Without an integer division, which runtimes compute in float32 or round otherwise.
    """
    quotient = (dividend.float() / divisor.float()).floor().long()  # or one too many or too few
    remainder = dividend - quotient * divisor
    quotient = quotient + (remainder >= divisor).long() - (remainder < 0).long()
    return quotient, dividend - quotient * divisor


def tap_weights(length: Tensor, new_length: Tensor) -> tuple[Tensor, Tensor]:
    """Return (L', T) int64 and (L', 2, T) float32: inputs of each output, and their weights.

    Weights are those of ``precompute_coeffs``, as the part that counts 2^7 and the rest. Positions
    are counted in 1 / (2 L') of an input, so that they are whole: the centre of output i is at
    (2 i + 1) L, that of input t at (2 t + 1) L'.

    Args:
        length: (1,) int64, L before.
        new_length: (1,) int64, L' after; L / L' is below 250.
    """
    reach = 2 * torch.maximum(length, new_length)
    outputs = torch.arange(new_length[0], dtype=torch.int64, device=length.device)
    centres = ((2 * outputs + 1) * length)[:, None]
    first, _ = divide((centres - reach + new_length).clamp(min=0), 2 * new_length)
    num_taps = divide(reach - 1, 2 * new_length)[0] * 2 + 3
    taps = first + torch.arange(num_taps[0], dtype=torch.int64, device=length.device)
    heights = (reach - ((2 * taps + 1) * new_length - centres).abs()).clamp(min=0)
    heights = torch.where(taps < length, heights, torch.zeros_like(heights))
    total = heights.sum(dim=1, keepdim=True)
    whole, rest = torch.zeros_like(heights), heights
    for bits in (6, 6, 5, 5):  # long division: rest * 2^22 needs more than 31 bits
        digit, rest = divide(rest * 2**bits, total)
        whole = whole * 2**bits + digit
    whole = (whole + (2 * rest >= total).long()).float()
    high = (whole / 2**7).floor()
    parts = torch.stack([high, whole - high * 2**7], dim=1)
    return torch.minimum(taps, length - 1), parts


def _weighted_rows(rows: Tensor, taps: Tensor, weights: Tensor) -> Tensor:
    """Return (L', M) uint8: the weighted means of (L, M) uint8 rows."""
    high, low = (weights @ rows[taps].float()).unbind(dim=1)
    # (high * 2^7 + low) / 2^22 rounded, without numbers above 2^24
    whole = (high / 2**15).floor()
    rest = (high - whole * 2**15) * 2**7 + low
    return (whole + (rest / 2**22 + 0.5).floor()).to(torch.uint8)


@torch.jit.script
def _resized_rows(image: Tensor, taps: Tensor, weights: Tensor, rows_at_once: int) -> Tensor:
    """Return (H, W', 3) uint8 of an (H, W, 3) photo."""
    resized = image[:0, :1].expand(0, taps.shape[0], 3)
    for start in range(0, image.shape[0], rows_at_once):
        part = image[start : start + rows_at_once].permute(1, 0, 2)
        columns = _weighted_rows(part.flatten(1), taps, weights)
        resized = torch.cat([resized, columns.unflatten(1, (-1, 3)).permute(1, 0, 2)])
    return resized


def _resize_width(image: Tensor, width: Tensor) -> Tensor:
    """Return (H, W', 3) uint8 of an (H, W, 3) photo and (1,) int64, a part of it at a time."""
    taps, weights = tap_weights(shape_as_tensor(image)[1:2], width)
    return _resized_rows(image, taps, weights, _ROWS_AT_ONCE)


def pillow_resize(image: Tensor, size_hw: Tensor) -> Tensor:
    """Return (h, w, 3) uint8 of an (H, W, 3) uint8 photo: Pillow's ``resize(..., BILINEAR)``.

    Args:
        image: the photo.
        size_hw: (2,) int64, h and w.
    """
    photo_hw = shape_as_tensor(image)[:2]
    height, width = size_hw[:1], size_hw[1:]
    columns_first = (photo_hw[:1] > 2 * photo_hw[1:]) & (height < photo_hw[:1])
    # twice along the rows, one of which changes nothing: a graph cannot change the order
    image = _resize_width(image, torch.where(columns_first, photo_hw[1:], width))
    image = _resize_width(image.transpose(0, 1), height).transpose(0, 1)
    return _resize_width(image, width)
