"""Photos of a dataset with the ground truth and what one model or several find, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from detectron2.config import instantiate
from omegaconf import DictConfig
from tqdm import tqdm

from pose_project.data.image_reading import read_photo
from pose_project.extras.pictures.heatmap import overlay_heatmap
from pose_project.extras.pictures.side_by_side import join_panels, panel_scale
from pose_project.inference.predictor import PosePredictor
from pose_project.modeling.keypoint_predictions import enlarge
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.visualization import PoseVisualizer


class Comparison:
    """Models of one config, and how their findings are drawn.

    Args:
        cfg: of all models; with ``heatmap`` its head keeps the heatmaps.
        titles: title -> checkpoint.
        heatmap: a keypoint whose heatmaps are drawn as well, or None.
        scale: pixels of a panel for each of the photo; None makes small photos larger.
        score_threshold: people below it are not drawn.
        keypoint_threshold: nor are keypoints whose score is not above this.

    Raises:
        InputError: if there is no such keypoint, or weights do not fit.
    """

    def __init__(
        self,
        cfg: DictConfig,
        titles: Mapping[str, str],
        heatmap: str | None,
        scale: float | None,
        score_threshold: float,
        keypoint_threshold: float,
    ) -> None:
        self.cfg = cfg
        self.predictors = {title: PosePredictor(cfg, each) for title, each in titles.items()}
        self.schema = next(iter(self.predictors.values())).schema
        if heatmap and heatmap not in self.schema.names:
            raise InputError(f"no keypoint {heatmap!r}; there are {', '.join(self.schema.names)}")
        self.heatmap = heatmap
        self.scale = scale
        self.thresholds = score_threshold, keypoint_threshold

    def draw_dataset(self, count: int, folder: Path) -> int:
        """Write a PNG for each of the first photos with people; return how many there are."""
        dataset = instantiate(self.cfg.dataloader.test.dataset)
        records = [each for each in dataset if each["annotations"]][:count]
        for record in tqdm(records, disable=None):
            picture = self.draw_image(record)
            with atomic_path(folder / f"{record['image_id']}.png") as temporary:
                temporary.write_bytes(cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes())
        return len(records)

    def draw_image(self, record: dict[str, Any]) -> np.ndarray:
        """Return (H', W', 3) RGB: all panels of a photo, given as its dataset dict."""
        image = read_photo(dict(record), "RGB")
        scale = self.scale or panel_scale(image)
        truth = PoseVisualizer(image, self.schema, scale).draw_dataset_dict(record)
        panels = {"ground truth": truth.get_image()}
        for title, predictor in self.predictors.items():
            poses = predictor(np.ascontiguousarray(image[:, :, ::-1]))
            canvas = PoseVisualizer(image, self.schema, scale, *self.thresholds)
            panels[title] = canvas.draw_instance_predictions(poses.to_instances()).get_image()
            if self.heatmap:
                size = panels[title].shape[:2]
                panels[f"{title}: {self.heatmap}"] = self._draw_heatmap(image, poses, scale, size)
        return join_panels(panels)

    def _draw_heatmap(
        self, image: np.ndarray, poses: Poses, scale: float, size_hw: tuple[int, int]
    ) -> np.ndarray:
        """Return a keypoint's heatmaps over the photo, of the other panels' size."""
        best = poses.above(self.thresholds[0])
        keypoint = self.schema.names.index(self.heatmap)
        region_scale = self.cfg.model.roi_heads.get("region_scale", 1.0)
        regions = enlarge(torch.from_numpy(best.boxes), region_scale).numpy()
        drawn = overlay_heatmap(image, regions, best.heatmaps[:, keypoint], scale)
        return drawn if drawn.shape[:2] == size_hw else cv2.resize(drawn, size_hw[::-1])


def titles_of(weights: Sequence[str]) -> dict[str, str]:
    """Return {title: checkpoint}; a title is as much of the path as tells them apart.

    Raises:
        InputError: if a checkpoint is named twice.
    """
    if len(weights) == 1:
        return {"prediction": weights[0]}
    if len(set(weights)) < len(weights):
        raise InputError("--weights names the same checkpoint twice")
    paths = {each: Path(each).with_suffix("").parts for each in weights}
    for length in range(1, max(map(len, paths.values())) + 1):
        titles = {"/".join(path[-length:]): each for each, path in paths.items()}
        if len(titles) == len(weights):
            return titles
    return {each: each for each in weights}  # they differ in their suffix alone
