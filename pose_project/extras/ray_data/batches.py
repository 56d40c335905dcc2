"""A model as a callable for Ray Data's ``map_batches``: photos in, rows for Parquet out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pose_project.data.image_reading import decode_photo, why_unreadable
from pose_project.inference import PosePredictor
from pose_project.structures.poses import Poses


class PosesOfBatch:
    """What is found in each photo of a batch, beside the columns that came in.

    For ``ray.data.read_binary_files(paths, include_paths=True).map_batches(PosesOfBatch,
    fn_constructor_args=(config_file, weights), batch_size=8, concurrency=2)``, and for
    ``ray.data.read_webdataset`` with ``column="jpg"``.

    Args:
        config_file: of the model.
        weights: its checkpoint.
        overrides: ``key=value`` of the config.
        column: holds the photos, each a whole file.
    """

    def __init__(
        self,
        config_file: str,
        weights: str,
        overrides: Sequence[str] = (),
        column: str = "bytes",
    ) -> None:
        self.predictor = PosePredictor.from_files(config_file, weights, overrides)
        self.column = column

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a row for each photo.

        Args:
            batch: columns, each with a value a photo.

        Returns:
            The other columns; ``height width`` in pixels, 0 of a photo that cannot be read;
            ``boxes`` (N, 4) XYXY, ``scores`` (N,), ``classes`` (N,) and ``keypoints`` (N, 3 K) as
            nested lists, all as in ``Poses``; ``problem``, "" of a photo that could be read.
        """
        problems, images = [], []
        for data in batch[self.column]:
            try:
                images.append(decode_photo(bytes(data), "BGR"))
                problems.append("")
            except Exception as error:  # decoders raise nearly anything on damaged files
                problems.append(why_unreadable(error))
        found = iter(self.predictor.predict(images))
        poses = [self._nothing() if problem else next(found) for problem in problems]
        others = {name: values for name, values in batch.items() if name != self.column}
        return {
            **others,
            "height": [each.image_size_hw[0] for each in poses],
            "width": [each.image_size_hw[1] for each in poses],
            "boxes": [each.boxes.tolist() for each in poses],
            "scores": [each.scores.tolist() for each in poses],
            "classes": [each.classes.tolist() for each in poses],
            "keypoints": [
                each.keypoints.reshape(len(each), each.keypoints.shape[1] * 3).tolist()
                for each in poses
            ],
            "problem": problems,
        }

    def _nothing(self) -> Poses:
        num_keypoints = self.predictor.schema.num_keypoints
        return Poses(
            (0, 0),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros((0, num_keypoints, 3), np.float32),
        )
