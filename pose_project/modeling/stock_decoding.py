"""Our decoding in place of Detectron2's and torchvision's, for models that are not ours.

Nothing here runs on import. Between the libraries and :func:`decode_heatmaps`:

=============  ==========================================  =====================================
library        its ``heatmaps_to_keypoints`` returns       from our (x, y, logit, score)
=============  ==========================================  =====================================
Detectron2     (R, K, 4) x, y, logit, score, in the        all four, in that dtype
               dtype of the heatmaps
torchvision    (R, K, 3) x, y, 1 and (R, K) logits,        x, y and the logit
               both float32
=============  ==========================================  =====================================
"""

import contextlib
from collections.abc import Iterator

import torch
from detectron2.modeling.roi_heads import keypoint_head as detectron2_head
from detectron2.structures import heatmaps_to_keypoints as detectron2_decoding
from torch import Tensor
from torchvision.models.detection import roi_heads as torchvision_heads
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints as torchvision_decoding

from pose_project.modeling.decoding import decode_heatmaps

_NAME = "heatmaps_to_keypoints"


@contextlib.contextmanager
def patch_stock_decoding() -> Iterator[None]:
    """Let every Detectron2 and torchvision keypoint model decode with ours, until the block ends.

    The results are the same but for rounding, and for Detectron2 in half precision, where ours is
    exact and stock moves points by pixels. For the rest of a process use
    ``contextlib.ExitStack().enter_context(patch_stock_decoding())``. It holds for all threads, and
    may be nested. No gradient flows through it. A model that is traced keeps the stock function.

    >>> from detectron2.modeling.roi_heads import keypoint_head
    >>> stock = keypoint_head.heatmaps_to_keypoints
    >>> with patch_stock_decoding():
    ...     keypoint_head.heatmaps_to_keypoints is stock
    False
    >>> keypoint_head.heatmaps_to_keypoints is stock
    True
    """
    with contextlib.ExitStack() as undo:
        for module, ours in (
            (detectron2_head, _for_detectron2),
            (torchvision_heads, _for_torchvision),
        ):
            undo.callback(setattr, module, _NAME, getattr(module, _NAME))
            setattr(module, _NAME, ours)
        yield


def _for_detectron2(maps: Tensor, rois: Tensor) -> Tensor:
    if torch.jit.is_tracing():
        return detectron2_decoding(maps, rois)
    return decode_heatmaps(maps, rois).to(maps.dtype)


def _for_torchvision(maps: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    if torch.jit.is_tracing():
        return torchvision_decoding(maps, rois)
    decoded = decode_heatmaps(maps, rois)
    points = torch.cat([decoded[..., :2], torch.ones_like(decoded[..., :1])], dim=2)
    return points, decoded[..., 2]
