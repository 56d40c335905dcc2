"""Writing of metrics: ``metrics.json``, TensorBoard, and the curves at the end."""

import json
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import TextIO

from detectron2.engine import HookBase
from detectron2.utils.events import EventWriter, TensorboardXWriter, get_event_storage

from pose_project.engine.hooks.saving import is_due
from pose_project.utils.extras import find_extra
from pose_project.utils.files import write_text_atomic


class RawJSONWriter(EventWriter):
    """One JSON object per written iteration: raw values, no medians; null for what is not finite.

    Args:
        path: the file; rows are appended.
    """

    def __init__(self, path: Path) -> None:
        self._stream: TextIO = open(path, "a", encoding="utf-8")  # noqa: SIM115 - until close()
        self._last_iteration = -1

    def write(self) -> None:
        """Append what was recorded since the last call, on disk when this returns."""
        rows: dict[int, dict[str, float]] = defaultdict(dict)
        for name, (value, iteration) in get_event_storage().latest().items():
            if iteration > self._last_iteration:
                rows[iteration][name] = value
        for iteration in sorted(rows):
            values = sorted(rows[iteration].items())
            # JSON has no NaN
            row = {k: v if math.isfinite(v) else None for k, v in values}
            row = {"iteration": iteration, **row}
            self._stream.write(json.dumps(row) + "\n")
            self._last_iteration = iteration
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class MetricsWriter(HookBase):
    """Write metrics every ``period`` iterations, after evaluations and at the end.

    Nothing is opened before training starts, so a run that fails to start leaves no file.

    Args:
        output_dir: folder of ``metrics.json``, the TensorBoard file and ``training_curves.png``.
        period: in iterations.
    """

    def __init__(self, output_dir: Path, period: int) -> None:
        self.output_dir = output_dir
        self.period = period
        self._writers: list[EventWriter] = []

    def before_train(self) -> None:
        """Open the files; rows that a resumed run is going to write again are cut."""
        path = self.output_dir / "metrics.json"
        drop_rows(path, first=self.trainer.start_iter)
        self._writers = [RawJSONWriter(path)]

    def after_step(self) -> None:
        """Write where the period says so or an evaluation has just been recorded."""
        iteration = self.trainer.iter
        evaluated = self.trainer.storage.latest().get("bbox/AP", (0.0, -1))[1] == iteration
        if evaluated or is_due(iteration + 1, self.period, self.trainer.max_iter):
            if len(self._writers) == 1:  # TensorBoard takes long to import: not at the start
                first = self.trainer.start_iter
                folder = str(self.output_dir)
                self._writers.append(TensorboardXWriter(folder, window_size=1, purge_step=first))
            for writer in self._writers:
                writer.write()

    def after_train(self) -> None:
        """Close the files and draw the curves."""
        for writer in self._writers:
            writer.close()
        # now, since Matplotlib takes half a second to import, at every start
        if self._writers and (curves := find_extra("pictures.training_curves")):
            folder = self.output_dir
            curves.plot_training_curves(folder / "metrics.json", folder / "training_curves.png")


def drop_rows(path: Path, first: int) -> None:
    """Remove rows of iteration ``first`` and later, and a last row that was cut off by a crash."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["iteration"] < first:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    write_text_atomic(path, "".join(kept))
