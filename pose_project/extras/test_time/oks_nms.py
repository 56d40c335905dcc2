"""Of several predictions of the same person, the best one."""

import numpy as np
import torch
from detectron2.structures import Instances
from torch import Tensor

from pose_project.structures import KeypointSchema
from pose_project.structures.oks import AREA_SHARE, keypoint_similarity


def oks_nms(instances: Instances, schema: KeypointSchema, threshold: float) -> Tensor:
    """Return which people are kept: those whose OKS with every better one kept is not above this.

    Boxes of people who stand close overlap more than their poses do; this looks at the poses
    (Papandreou et al., CVPR 2017, section 3.1.3). OKS is the mean over the keypoints of the
    class, with the mean of both areas.

    Args:
        instances: R people of a photo with ``pred_boxes scores pred_classes pred_keypoints``.
        schema: of the keypoints.
        threshold: of OKS in 0..1.

    Returns:
        (M,) int64, the best first; on the device of the instances.
    """
    boxes = instances.pred_boxes.tensor.detach().cpu().double().numpy()
    points = instances.pred_keypoints.detach().cpu().double().numpy()[..., :2]
    classes = instances.pred_classes.cpu().numpy()
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    areas = AREA_SHARE * sides.prod(axis=1)
    sigmas = np.array(schema.oks_sigmas)
    kept: list[int] = []
    for index in instances.scores.argsort(descending=True, stable=True).tolist():
        better = np.array([each for each in kept if classes[each] == classes[index]], np.int64)
        rows = list(schema.class_rows(classes[index]))
        pairs = np.broadcast_to(points[index, rows], (len(better), len(rows), 2))
        mean_areas = (areas[better] + areas[index]) / 2
        oks = keypoint_similarity(pairs, points[better][:, rows], mean_areas, sigmas[rows])
        if not (oks.mean(axis=1) > threshold).any():
            kept.append(index)
    return torch.tensor(kept, dtype=torch.int64, device=instances.scores.device)
