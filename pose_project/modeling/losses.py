"""The people of a training batch, and their keypoint loss: a softmax over each heatmap's cells.

Spaces: *image* (continuous, pixels of the network's input) and *cell* (row-major index into an
S x S heatmap stretched over a box). R instances, K keypoints.
"""

from functools import cached_property

import torch
import torch.distributed as dist
import torch.nn.functional as F
from detectron2.structures import Instances
from detectron2.utils import comm
from torch import Tensor

from pose_project.structures.oks import AREA_SHARE

_IGNORED = -100


class LabelledPeople:
    """The people of a training batch, those of all images in order.

    What only some losses need is computed when it is first asked for.

    Args:
        instances: of each image; of an image without anybody no field but the boxes is needed.
        num_keypoints: K.

    Attributes:
        regions: (R, 4) XYXY_ABS that features were pooled from.
        keypoints: (R, K, 3) as (x, y, v), in the same space.
        num_images: of the batch.
    """

    def __init__(self, instances: list[Instances], num_keypoints: int) -> None:
        self.num_images = len(instances)
        self._people = [each for each in instances if len(each) > 0]
        people = self._people or instances[:1]
        self.regions = torch.cat([each.proposal_boxes.tensor for each in people])
        self.keypoints = (
            torch.cat([each.gt_keypoints.tensor for each in people])
            if self._people
            else self.regions.new_zeros(0, num_keypoints, 3)
        )

    @cached_property
    def labelled(self) -> Tensor:
        """(R, K) bool, v > 0."""
        return self.keypoints[..., 2] > 0

    @cached_property
    def areas(self) -> Tensor:
        """(R,) what OKS takes for the areas of people of whom the true boxes are known, px^2."""
        if not self._people:
            return self.regions[:, 0]
        return AREA_SHARE * torch.cat([each.gt_boxes.area() for each in self._people])


def encode_keypoints(keypoints: Tensor, boxes: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
    """Return the heatmap cell of every keypoint, and which of them can be trained on.

    A point in a box maps to floor((x - x0) * S / (x1 - x0)); the right and the bottom edge belong
    to the last cell (Mask R-CNN, section 5: one cell of the S x S map is the foreground).

    Args:
        keypoints: (R, K, 3) as (x, y, v); continuous image coordinates in pixels; v in {0, 1, 2}.
        boxes: (R, 4) XYXY_ABS in the same image space.
        heatmap_size: side S of the square heatmap, in cells.

    Returns:
        targets: (R, K) int64 in [0, S * S), as y * S + x; 0 where not valid.
        valid: (R, K) bool, True where v > 0 and the point lies in its box, edges included. Never
            for a box without area.
    """
    corner = boxes[:, None, :2]
    size = boxes[:, None, 2:] - corner
    offset = keypoints[..., :2] - corner
    inside = ((offset >= 0) & (offset <= size)).all(dim=-1)
    valid = inside & (keypoints[..., 2] > 0) & (size > 0).all(dim=-1)
    cell = (offset * (heatmap_size / size)).floor().clamp(max=heatmap_size - 1)
    targets = cell[..., 1] * heatmap_size + cell[..., 0]
    # masked_fill before the cast: what lies outside may not be representable as an integer
    return targets.masked_fill(~valid, 0).long(), valid


def keypoint_loss(
    keypoint_logits: Tensor, targets: Tensor, valid: Tensor, normalizer: Tensor | float
) -> Tensor:
    """Return the summed cross-entropy of the valid keypoints, divided by ``normalizer``.

    Mask R-CNN, section 5: "we minimize the cross-entropy loss over an m^2-way softmax output".
    Computed in float32 whatever the dtype of the logits. Without a valid keypoint the loss is 0
    and every parameter still gets a gradient (of zeros), also where logits are not finite.

    Args:
        keypoint_logits: (R, K, S, S) raw output of the head.
        targets: (R, K) int64 cell indices in [0, S * S).
        valid: (R, K) bool, the keypoints that count.
        normalizer: positive number.

    Returns:
        Scalar float32, >= 0.
    """
    logits = keypoint_logits.flatten(2)
    if logits.device.type == "cpu":
        logits, targets = logits[valid], targets[valid]
    else:
        # a GPU would wait to know how many are valid; zeros also stop gradients that are not finite
        logits = logits.where(valid[..., None], 0).flatten(0, 1)
        targets = targets.where(valid, _IGNORED).flatten()
    losses = F.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=_IGNORED)
    return losses / normalizer


def mean_count_over_processes(count: Tensor) -> Tensor:
    """Return a count, at least one in total, averaged over all processes, as float32.

    DistributedDataParallel averages gradients over processes; with this as the divisor of a summed
    loss, a batch gives the same gradient however it is spread.
    """
    total = count.float()
    if comm.get_world_size() > 1:
        dist.all_reduce(total)
    return total.clamp(min=1) / comm.get_world_size()
