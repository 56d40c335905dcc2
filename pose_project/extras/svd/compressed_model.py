"""A model with a low-rank box head: built, measured, and written as a model like any other."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from detectron2.config import LazyConfig
from omegaconf import DictConfig
from torch import nn

from pose_project.checkpoint import PoseCheckpointer
from pose_project.config.building import plain_config
from pose_project.engine.checks import check_evaluation
from pose_project.evaluation.model_categories import load_categories
from pose_project.extras.svd.compression import build_low_rank_head, full_box_head, low_rank_config
from pose_project.extras.svd.low_rank import LinearSVD, check_rank
from pose_project.extras.svd.rank_curves import plot_rank_curves
from pose_project.extras.svd.rank_survey import (
    REPEATS,
    HeadFigures,
    format_survey,
    survey_panels,
    survey_ranks,
)
from pose_project.modeling.build import build_model, resolve_device
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.utils.provenance import device_name


@dataclass(frozen=True)
class CompressedModel:
    """The model of the first of the ranks that were measured.

    Attributes:
        model: with its low-rank box head.
        cfg: that describes it.
        source: the checkpoint that it was made from.
        figures: of the full box head, then of each of the ranks.
    """

    model: nn.Module
    cfg: DictConfig
    source: str
    figures: list[HeadFigures]

    def survey(self) -> str:
        """Return the figures as a table, and what they were measured with."""
        table = format_survey(self.figures)
        return f"{table}\n\n{device_name()}; median of {REPEATS}, measured in turn"

    def write(self, files: Sequence[Path]) -> None:
        """Write weights, provenance, config and curves, each whole or not; see ``files_of``."""
        weights, _, config, curves = files
        self.cfg.train.init_checkpoint = str(weights)
        PoseCheckpointer(self.model, str(weights.parent)).save(
            weights.stem,
            tag_as_last=False,
            provenance={
                "compressed_from": self.source,
                "figures": [asdict(each) for each in self.figures],
                "config": plain_config(self.cfg),
            },
        )
        with atomic_path(config) as temporary:
            LazyConfig.save(self.cfg, str(temporary))
        plot_rank_curves(*survey_panels(self.figures), curves)


def files_of(output: Path) -> list[Path]:
    """Return the weights and what is written beside them: JSON, config and curves."""
    return [output.with_suffix(suffix) for suffix in (".pth", ".json", ".yaml", ".png")]


def compress(cfg: DictConfig, weights: str, ranks: str, evaluate: bool) -> CompressedModel:
    """Split the box head of a model for each of several ranks, and measure all of them.

    Args:
        cfg: of the model.
        weights: its checkpoint.
        ranks: see :func:`parse_ranks`; the first is that of the result.
        evaluate: measure AP on ``dataloader.test``.

    Raises:
        InputError: if the model has no such box head, or a rank is wrong.
    """
    measured = copy.deepcopy(cfg)
    measured.train.device = resolve_device(cfg.train.device)
    if "output_dir" in measured.dataloader.evaluator:
        measured.dataloader.evaluator.output_dir = None  # the evaluations of a survey leave nothing
    model = build_model(measured).eval()
    full = full_box_head(model)
    choices = parse_ranks(ranks, full.fcs)
    if evaluate:
        check_evaluation(measured, model, load_categories(measured, weights))
    PoseCheckpointer(model).load(weights, checkpointables=[], complete=True)

    decomposed = [LinearSVD.of(layer) for layer in full.fcs]
    low_rank = {
        choice: build_low_rank_head(low_rank_config(measured, choice), full, decomposed)
        for choice in choices
    }
    figures = survey_ranks(measured, model, decomposed, low_rank, evaluate)
    model.roi_heads.box_head = low_rank[choices[0]]
    return CompressedModel(model, low_rank_config(cfg, choices[0]), weights, figures)


def parse_ranks(text: str, layers: Sequence[nn.Linear]) -> list[tuple[int, ...]]:
    """Return for each of the ranks, separated by commas, that of each layer.

    Raises:
        InputError: if one is not a number, is out of range, or does not name one for each layer.
    """
    choices = []
    for part in text.split(","):
        try:
            ranks = tuple(int(number) for number in part.split(":"))
        except ValueError:
            raise InputError(f"--rank {text}: {part!r} is not a rank; write 64 or 64,32") from None
        if len(ranks) == 1:
            ranks *= len(layers)
        if len(ranks) != len(layers):
            raise InputError(
                f"--rank {text}: {part} is {len(ranks)} ranks, but the box head has "
                f"{len(layers)} fully connected layer{'s' * (len(layers) > 1)}"
            )
        for rank, layer in zip(ranks, layers, strict=True):
            check_rank(rank, layer.in_features, layer.out_features)
        choices.append(ranks)
    return list(dict.fromkeys(choices))
