"""The cases that ``benchmarks.refined`` trains: configs/quick/synthetic.py with some switches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from configs.common import refined
from pose_project.data import KeypointMapper
from pose_project.engine import load_config
from pose_project.modeling.keypoint_predictions import enlarge
from pose_project.utils.errors import InputError

_CONFIG = "configs/quick/synthetic.py"
_TIGHT = 0.865  # leaves 5.6 % of the labelled keypoints outside, as on COCO: 0.2 % as they are


class TightBoxesMapper(KeypointMapper):
    """Gives boxes in training that end before the person does, as they often do on COCO."""

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """Return the model's input for one photo, with boxes shrunk about their centres."""
        output = super().__call__(dataset_dict)
        boxes = output["instances"].gt_boxes
        boxes.tensor = enlarge(boxes.tensor, _TIGHT)
        return output


def tighten_boxes(model: DictConfig, dataloader: DictConfig) -> None:
    """Teach boxes that leave as many keypoints outside as COCO's do."""
    dataloader.train.mapper._target_ = TightBoxesMapper


def pool_from_levels(model: DictConfig) -> None:
    """Pool from P2 to P5 by size, as on COCO, whose images are 800/192 times as large as these."""
    model.roi_heads.keypoint_pooler.canonical_box_size = round(224 * 192 / 800)


_OF_DATA = (refined.teach_with_masks, tighten_boxes)  # these change the data too
_FOR_COCO = (
    refined.enlarge_regions,
    refined.teach_with_masks,
    refined.add_oks_loss,
    refined.add_global_context,
)

CASES: dict[str, tuple[Callable[..., None], ...]] = {
    "none": (),
    "learned score": (),
    "regions": (refined.enlarge_regions,),
    "masks": (refined.teach_with_masks,),
    "oks loss": (refined.add_oks_loss,),
    "context": (refined.add_global_context,),
    "likelihood": (refined.regress_by_likelihood,),
    "fine-tuned heatmaps": (),
    "fine-tuned likelihood": (refined.regress_by_likelihood,),
    "levels": (pool_from_levels,),
    "oks loss and regions": (refined.add_oks_loss, refined.enlarge_regions),
    "all together": _FOR_COCO,
    "tight boxes": (tighten_boxes,),
    "tight boxes and regions": (tighten_boxes, refined.enlarge_regions),
}
"""The switches of each case. All but "none" also learn a score; nothing flows back from it."""

TRAINED_FOR = 660
"""Iterations that "none" had whose weights a fine-tuned case starts from, with the same seed."""


def is_fine_tuned(case: str) -> bool:
    """Return whether a case starts from trained weights."""
    return case.startswith("fine-tuned")


def make_config(case: str, seed: int, max_iter: int, photos: str, folder: Path) -> DictConfig:
    """Return the training config of a run, which writes into ``folder``.

    Raises:
        InputError: for a case that there is not.
    """
    if case not in CASES:
        raise InputError(f"unknown case {case!r}; known: {', '.join(CASES)}")
    overrides = [
        f"train.seed={seed}",
        f"train.max_iter={max_iter}",
        f"train.output_dir={folder}",
        f"dataloader.test.dataset.names={photos}",
        "train.report=False",
        "train.device=cpu",
    ]
    cfg = load_config(_CONFIG, overrides)
    for switch in CASES[case]:
        switch(cfg.model, cfg.dataloader) if switch in _OF_DATA else switch(cfg.model)
    if case != "none":
        refined.learn_score(cfg.model)
    return cfg
