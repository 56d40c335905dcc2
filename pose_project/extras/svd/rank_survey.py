"""What truncated SVD of the box head costs in AP and gains in time, rank by rank."""

import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from detectron2.modeling.roi_heads import FastRCNNConvFCHead
from fvcore.nn import FlopCountAnalysis
from omegaconf import DictConfig
from tabulate import tabulate
from torch import Tensor, nn

from pose_project.config.building import build
from pose_project.engine import PoseTrainer
from pose_project.extras.svd.low_rank import LinearSVD, LowRankBoxHead
from pose_project.extras.svd.rank_curves import Panel

logger = logging.getLogger(__name__)

REPEATS = 50


@dataclass(frozen=True)
class HeadFigures:
    """A box head in numbers.

    Attributes:
        ranks: of each fully connected layer; empty for the head that is not split.
        parameters: of the whole box head.
        multiply_adds: of the whole box head, for one region.
        energy: for each fully connected layer, the share of its squared singular values, 0 to 1.
        milliseconds: of the box head for ``regions`` regions; the median of ``REPEATS``.
        regions: how many the model keeps per photo when it is tested.
        ap: of ``bbox`` and ``keypoints``, 0 to 100; empty if it was not evaluated.
    """

    ranks: tuple[int, ...]
    parameters: int
    multiply_adds: int
    energy: tuple[float, ...]
    milliseconds: float
    regions: int
    ap: dict[str, float]

    @property
    def label(self) -> str:
        """The ranks as the command line takes them."""
        return format_ranks(self.ranks) if self.ranks else "none"


def format_ranks(ranks: Sequence[int]) -> str:
    """Return one number if all are equal, else all of them.

    >>> format_ranks((64, 64)), format_ranks((1024, 256))
    ('64', '1024:256')
    """
    return ":".join(map(str, ranks if len(set(ranks)) > 1 else ranks[:1]))


def survey_ranks(
    cfg: DictConfig,
    model: nn.Module,
    decomposed: Sequence[LinearSVD],
    low_rank: Mapping[tuple[int, ...], LowRankBoxHead],
    evaluate: bool,
) -> list[HeadFigures]:
    """Measure a model with its box head and with each of the low-rank ones in its place.

    Args:
        cfg: the config of the model.
        model: with its weights and its full box head, which is in place again afterwards.
        decomposed: the fully connected layers of the full box head.
        low_rank: ranks of the fully connected layers -> the head that has them.
        evaluate: score the model on ``cfg.dataloader.test`` each time.

    Returns:
        The figures of the full head, then those of ``low_rank`` in its order.
    """
    full = model.roi_heads.box_head
    heads: dict[tuple[int, ...], FastRCNNConvFCHead] = {(): full, **low_rank}
    shape = build(cfg, "model.roi_heads.box_head.input_shape")
    regions = model.proposal_generator.post_nms_topk[False]
    full_ranks = [len(svd.sigma) for svd in decomposed]
    device = next(full.parameters()).device
    features = torch.randn(regions, shape.channels, shape.height, shape.width, device=device)
    seconds = interleaved_medians([partial(head, features) for head in heads.values()], device)
    figures = []
    for (ranks, head), median in zip(heads.items(), seconds, strict=True):
        model.roi_heads.box_head = head
        kept = [svd.energy(rank) for svd, rank in zip(decomposed, ranks or full_ranks, strict=True)]
        figures.append(
            HeadFigures(
                ranks=ranks,
                parameters=sum(each.numel() for each in head.parameters()),
                multiply_adds=count_multiply_adds(head, features[:1]),
                energy=tuple(kept),
                milliseconds=1000 * median,
                regions=regions,
                ap=_average_precisions(cfg, model) if evaluate else {},
            )
        )
        logger.info("Measured rank %s.", figures[-1].label)
    model.roi_heads.box_head = full
    return figures


@torch.no_grad()
def interleaved_medians(
    calls: Sequence[Callable[[], Tensor]], device: torch.device, repeats: int = REPEATS
) -> list[float]:
    """Return the median seconds of each call; all take turns, so that each sees the same machine.

    Args:
        calls: what is timed; each is called once before.
        device: what is waited for.
        repeats: of each call.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, taken in zip(calls, seconds, strict=True):
            _wait_for(device)
            start = time.perf_counter()
            call()
            _wait_for(device)
            if repeat > 0:
                taken.append(time.perf_counter() - start)
    return [statistics.median(each) for each in seconds]


def count_multiply_adds(head: nn.Module, region: Tensor) -> int:
    """Return the multiply-adds of a head for the features of one region, (1, C, H, W)."""
    count = FlopCountAnalysis(head, region).unsupported_ops_warnings(False)
    return int(count.tracer_warnings("none").total())


def format_survey(figures: Sequence[HeadFigures]) -> str:
    """Return the figures as a Markdown table: the full head, then from large heads to small."""
    original, *split = figures
    headers = ["rank", "parameters", "multiply-adds per region", "energy kept (%)"]
    headers += [f"ms for {original.regions} regions", "times faster"]
    headers += [f"{task} AP" for task in original.ap]
    rows = [
        [
            each.label,
            f"{each.parameters:,}",
            f"{each.multiply_adds:,}",
            ", ".join(f"{100 * share:.1f}" for share in each.energy),
            f"{each.milliseconds:.3g}",
            f"{original.milliseconds / each.milliseconds:.2f}",
            *(f"{value:.1f}" for value in each.ap.values()),
        ]
        for each in [original, *reversed(_by_size(split))]
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True, stralign="right")


def survey_panels(figures: Sequence[HeadFigures]) -> tuple[list[str], list[Panel]]:
    """Return the ranks and what ``plot_rank_curves`` draws of them, from small to large heads."""
    original, *split = figures
    split = _by_size(split)
    precisions = Panel(
        "Average precision",
        "AP (0 to 100)",
        {f"{task} AP": [each.ap[task] for each in split] for task in original.ap},
        {f"{task} AP": value for task, value in original.ap.items()},
    )
    times = Panel(
        "Time of the box head",
        f"ms for {original.regions} regions",
        {"box head": [each.milliseconds for each in split]},
        {"box head": original.milliseconds},
    )
    energies = Panel(
        "Energy kept",
        "% of the squared singular values",
        {
            f"fc{layer + 1}": [100 * each.energy[layer] for each in split]
            for layer in range(len(original.energy))
        },
        {},
    )
    panels = [panel for panel in (precisions, times, energies) if panel.curves]
    return [each.label for each in split], panels


def _by_size(figures: Sequence[HeadFigures]) -> list[HeadFigures]:
    return sorted(figures, key=lambda each: each.parameters)


def _average_precisions(cfg: DictConfig, model: nn.Module) -> dict[str, float]:
    return {task: metrics["AP"] for task, metrics in PoseTrainer.test(cfg, model).items()}


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
