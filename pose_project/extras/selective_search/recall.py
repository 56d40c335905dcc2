"""How many people have a proposal on them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.structures import Boxes, BoxMode, pairwise_iou


def proposal_recall(
    proposals: Iterable[np.ndarray],
    dataset_dicts: Iterable[dict[str, Any]],
    limits: Sequence[int] = (100, 500, 1000, 2000),
    iou_threshold: float = 0.5,
) -> dict[int, float]:
    """Return the share of people that a proposal overlaps enough, for several numbers of proposals.

    Detectron2's ``_evaluate_box_proposals`` leaves photos without proposals out and lets a proposal
    serve one person only; here every person counts, and a proposal serves all it overlaps
    (selective search, section 5).

    Args:
        proposals: (N, 4) XYXY_ABS for each photo, the best first.
        dataset_dicts: the photos in the same order; crowds are left out.
        limits: of the proposals of a photo, the first so many.
        iou_threshold: the overlap that is enough, in (0, 1].

    Returns:
        {limit: recall in 0-100}; NaN if there are no people.
    """
    found = dict.fromkeys(limits, 0)
    num_people = 0
    for boxes, photo in zip(proposals, dataset_dicts, strict=True):
        people = [
            BoxMode.convert(each["bbox"], each["bbox_mode"], BoxMode.XYXY_ABS)
            for each in photo.get("annotations", ())
            if not each.get("iscrowd", 0)
        ]
        if not people:
            continue
        num_people += len(people)
        overlaps = pairwise_iou(Boxes(torch.as_tensor(boxes)), Boxes(torch.tensor(people)))
        for limit in limits:
            if len(overlaps):
                best = overlaps[:limit].amax(dim=0)
                found[limit] += int((best >= iou_threshold).sum())
    return {limit: 100 * found[limit] / num_people if num_people else np.nan for limit in limits}
