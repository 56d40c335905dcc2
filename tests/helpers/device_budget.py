"""How often our model and Detectron2's make the host wait, and how many kernels each starts.

    PYTHONPATH=.:tests python -m helpers.device_budget --json docs/benchmarks/device_counts.json
    PYTHONPATH=.:tests python -m helpers.device_budget --lines "R50-FPN, one photo"

Counted on the pretended GPU: exact, without a GPU, and the same each time.
"""

import argparse
import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detectron2.engine import SimpleTrainer
from detectron2.modeling.roi_heads import KRCNNConvDeconvUpsampleHead
from detectron2.utils.events import EventStorage
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks.models import build, make_photos, our_config, random_weights
from benchmarks.report import counts_table
from benchmarks.train_speed import make_batch, make_optimizer
from helpers.device_counts import Counts, counting
from helpers.fake_gpu import plugged_in
from helpers.narrow import narrow_model
from pose_project.engine.train_step import TrainStep
from pose_project.modeling.acceleration import FastInference, to_channels_last
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance

COMMAND = (
    "PYTHONPATH=.:tests python -m helpers.device_budget --json docs/benchmarks/device_counts.json"
)
_PEOPLE = 10
Work = Callable[[str], Counts]


def count_photos(model: nn.Module, photos: int) -> Counts:
    """Count one call of a model on its device, from photos of 192 x 256 to poses.

    Ten people are found in each photo. What is kept from call to call is made by one before.
    """
    batch = make_photos(photos, 192, 256)
    with torch.no_grad():
        model([dict(each) for each in batch])
        with counting() as counts:
            found = model([dict(each) for each in batch])
    people = [len(each["instances"]) for each in found]
    assert people == [_PEOPLE] * photos, people
    return counts


def count_iteration(trainer: SimpleTrainer) -> Counts:
    """Count the second iteration; the first sets up the state of the optimizer."""
    with EventStorage():
        trainer.iter = 0
        trainer.run_step()
        trainer.iter = 1
        with counting() as counts:
            trainer.run_step()
    return counts


def works() -> dict[str, tuple[Work, Work]]:
    """Return what is counted: a name, ours and stock Detectron2's.

    The models have few channels and proposals, and all of their layers. Photos in training are
    pinned, as a loader leaves them, and our iteration is one that is not logged.
    """
    found: dict[str, tuple[Work, Work]] = {}
    for name, file in (("demo's model", "quick/synthetic.py"), ("R50-FPN", "common/model.py")):
        config = our_config(file)
        narrow_model(config, shallow=False)
        config.proposal_generator.update(pre_nms_topk=(500, 300), post_nms_topk=(150, 100))
        weights = functools.cache(partial(_normalised_weights, config))
        ours, stock = _Model(config, weights), _Model(_with_stock_head(config), weights)
        found |= {
            f"{name}, one photo": (partial(_find, ours, 1), partial(_find, stock, 1)),
            f"{name}, four photos": (partial(_find, ours, 4), partial(_find, stock, 4)),
            f"{name}, a training iteration": (
                partial(_train_ours, ours),
                partial(_train_stock, stock),
            ),
        }
    return found


@torch.no_grad()
def _normalised_weights(config: DictConfig) -> dict[str, Tensor]:
    """Return random weights; BatchNorm has the statistics of a photo, too."""
    model = build(config, random_weights(config), torch.device("cpu")).train()
    for norm in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.momentum = 1.0
    model.backbone(model.preprocess_image(make_photos(1, 320, 448)).tensor)
    return model.state_dict()


@dataclass(frozen=True)
class _Model:
    config: DictConfig
    weights: Callable[[], dict[str, Tensor]]

    @property
    def is_ours(self) -> bool:
        return "pose_project" in str(self.config.roi_heads.keypoint_head._target_)

    def on(self, device: str) -> nn.Module:
        return build(self.config, self.weights(), torch.device(device))


def _find(side: _Model, batch: int, device: str) -> Counts:
    model = side.on(device)
    model.roi_heads.box_predictor.test_score_thresh = 0.0
    model.roi_heads.box_predictor.test_topk_per_image = _PEOPLE
    return count_photos(FastInference(model) if side.is_ours else model, batch)


def _train_ours(side: _Model, device: str) -> Counts:
    model = side.on(device).train()
    to_channels_last(model)
    return count_iteration(
        TrainStep(
            model,
            itertools.cycle([_batch()]),
            make_optimizer(model, fused=True),
            device=device,
            seed=0,
            reports=lambda iteration: False,
        )
    )


def _train_stock(side: _Model, device: str) -> Counts:
    model = side.on(device).train()
    optimizer = make_optimizer(model, fused=False)
    return count_iteration(SimpleTrainer(model, itertools.cycle([_batch()]), optimizer))


def _batch() -> list[dict[str, Any]]:
    batch = make_batch(2, 96)
    for photo in batch:
        photo["image"] = photo["image"].pin_memory()
    return batch


def _with_stock_head(config: DictConfig) -> DictConfig:
    """Return our config with Detectron2's keypoint head."""
    config = config.copy()
    head = config.roi_heads.keypoint_head
    del head.up_scale
    head._target_ = KRCNNConvDeconvUpsampleHead
    return config


def totals_of(work: str, device: str) -> dict[str, dict[str, int]]:
    """Return {"ours": totals, "detectron2": totals} of one of ``works``."""
    ours, stock = works()[work]
    return {"ours": ours(device).totals(), "detectron2": stock(device).totals()}


def main() -> None:
    """Print the table, or the lines of one row, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the counts")
    parser.add_argument("--lines", choices=list(works()), help="show each source line of ours")
    arguments = parser.parse_args()
    with plugged_in() as device:
        if arguments.lines:
            print(works()[arguments.lines][0](device).table())
            return
        counts = {work: totals_of(work, device) for work in works()}
    print(counts_table(counts))
    if arguments.json:
        record = {**collect_provenance(), "command": COMMAND.split(), "counts": counts}
        del record["device"]
        write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
