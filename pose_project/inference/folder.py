"""Photos and videos into a folder: drawings, COCO's results, a table; divided and resumable."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pose_project.evaluation.model_categories import load_categories
from pose_project.inference.finished_parts import PartsFolder, settings_of
from pose_project.inference.model import schema_of
from pose_project.inference.outputs import ImageIds, write_coco, write_csv
from pose_project.inference.predictor import PosePredictor
from pose_project.inference.run import (
    Drawing,
    check_videos,
    own_share,
    predict_sources,
    use_own_gpu,
)
from pose_project.inference.sources import Source
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError


@dataclass(frozen=True)
class Outputs:
    """What is written into a folder.

    Attributes:
        folder: made if it is not there.
        drawn: photos and videos with the people on them, in ``drawn/``.
        json: ``results.json`` in COCO's format and ``images.json``.
        csv: ``keypoints.csv``.
        score_threshold: people below it are not drawn, 0 to 1.
        keypoint_threshold: nor are keypoints whose score is not above this, 0 to 1.
        annotations: a COCO JSON whose image ids are used; None counts from 1.
    """

    folder: Path
    drawn: bool
    json: bool
    csv: bool
    score_threshold: float
    keypoint_threshold: float
    annotations: Path | None

    def drawing(self, schema: KeypointSchema) -> Drawing | None:
        """Return how and where people are drawn, None if they are not."""
        if not self.drawn:
            return None
        thresholds = self.score_threshold, self.keypoint_threshold
        return Drawing(schema, *thresholds, folder=self.folder / "drawn")


Engine = Callable[[Callable[[], Callable[[Sequence[Any]], None]], Sequence[Any], int], None]
"""Does all items: what makes a worker elsewhere, the items, and how many a worker takes at once."""
_FILES_AT_ONCE = 4  # batches that another process is given at a time


def predict_into(
    outputs: Outputs,
    sources: Sequence[Source],
    cfg: DictConfig,
    weights: str,
    batch_size: int,
    engine: Engine | None = None,
) -> None:
    """Predict this process's share; whoever finds everything done writes the files.

    Args:
        outputs: what to write, and where.
        sources: of ``find_sources``.
        cfg: of the model.
        weights: its checkpoint.
        batch_size: photos, or frames of a video, that go through the model together.
        engine: predicts elsewhere; None does so in this process.

    Raises:
        InputError: if model, folder or image ids do not fit, or no file could be read.
    """
    check_videos(sources)
    use_own_gpu()
    categories = load_categories(cfg, weights)
    schema = schema_of(categories, weights)
    ids = ImageIds(categories, outputs.annotations)
    ids.check(sources)
    drawing = outputs.drawing(schema)
    thresholds = [drawing.score_threshold, drawing.keypoint_threshold] if drawing else []
    parts = PartsFolder(outputs.folder / "parts", settings_of(cfg, weights, categories, thresholds))
    parts.check()
    share = own_share(sources)
    todo = parts.missing(share)
    make_worker = partial(_make_worker, cfg, weights, parts, drawing, batch_size)
    if todo and engine:
        parts.open(todo)
        engine(make_worker, todo, _FILES_AT_ONCE * batch_size)
    elif todo:
        work = make_worker()
        parts.open(todo)
        work(todo)
    missing = parts.missing(sources)
    if missing:
        print(f"{len(missing)} of {len(sources)} files are still with other processes")
        return
    if outputs.json:
        files = outputs.folder / "results.json", outputs.folder / "images.json"
        write_coco(*files, parts.read_all(sources), ids, categories, schema)
    if outputs.csv:
        names = [each["name"] for each in categories]
        write_csv(outputs.folder / "keypoints.csv", parts.read_all(sources), names, schema)
    _summarise(outputs.folder, sources, parts, len(share) - len(todo))


def _make_worker(
    cfg: DictConfig, weights: str, parts: PartsFolder, drawing: Drawing | None, batch_size: int
) -> Callable[[Sequence[Source]], None]:
    predictor = PosePredictor(cfg, weights)
    return lambda sources: predict_sources(sources, predictor, parts, drawing, batch_size)


def _summarise(
    output: Path, sources: Sequence[Source], parts: PartsFolder, done_before: int
) -> None:
    """Print what is there, and what could not be read.

    Raises:
        InputError: if nothing could be read.
    """
    problems, num_frames, num_people = [], 0, 0
    for _, part in parts.read_all(sources):
        num_frames += len(part.frames)
        num_people += sum(len(poses) for poses in part.frames)
        if part.problem:
            problems.append(part.problem)
    for problem in problems:
        print(f"not read: {problem}", file=sys.stderr)
    if not num_frames:
        raise InputError(f"none of {len(sources)} files could be read, such as {sources[0].path}")
    videos = sum(source.is_video for source in sources)
    before = f", {done_before} of them earlier" if done_before else ""
    print(
        f"{len(sources) - videos} photos and {videos} videos{before}: {num_people} detections in "
        f"{num_frames} pictures; {len(problems)} files with problems; all in {output}"
    )
