"""Average precision and recall of matches, of all photos or of photos counted several times."""

import numpy as np

from pose_project.extras.report.arrays import People, Predictions
from pose_project.extras.report.matching import Matches

RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads precision."""


class RankedMatches:
    """Matches prepared to be scored many times with other weights of the photos.

    Only what precedes the last true match bears on precision, so the rest is dropped. What is
    counted hardly differs between thresholds, so it is summed once, and what a threshold leaves out
    is subtracted.

    Args:
        matches: of one category, at T thresholds.
        predictions: that were matched.
        people: whom they were matched to.
        num_photos: P.
    """

    def __init__(
        self, matches: Matches, predictions: Predictions, people: People, num_photos: int
    ) -> None:
        photo = predictions.photo[matches.prediction]
        used = np.logical_or.accumulate(matches.is_true.any(axis=0)[::-1])[::-1]
        used &= matches.counted.any(axis=0)
        self._photo = photo[used]
        self._wanted = np.bincount(people.photo[matches.wanted], minlength=num_photos)
        self._found = np.stack(
            [np.bincount(photo[is_true], minlength=num_photos) for is_true in matches.is_true]
        )
        self._rows = []
        for counted, is_true in zip(
            matches.counted[:, used], matches.is_true[:, used], strict=True
        ):
            true, left_out = np.flatnonzero(is_true), np.flatnonzero(~counted)
            self._rows.append((true, self._photo[left_out], np.searchsorted(left_out, true)))

    def precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return (T, 101) COCO's interpolated precision at ``RECALLS``, in 0-1.

        Args:
            weights: (P,) how often each photo counts; once by default.

        Returns:
            NaN where nobody is to be found.
        """
        weights = np.ones(len(self._wanted)) if weights is None else weights
        num_wanted = self._wanted @ weights
        if num_wanted == 0:
            return np.full((len(self._rows), len(RECALLS)), np.nan)
        own = weights[self._photo]
        num_all = np.cumsum(own)
        precision = np.zeros((len(self._rows), len(RECALLS)))
        for row, (true, photo_left_out, before) in enumerate(self._rows):
            num_left_out = np.concatenate([[0.0], np.cumsum(weights[photo_left_out])])
            num_counted = num_all[true] - num_left_out[before]
            num_true = np.cumsum(own[true])
            # the best precision at this recall or a higher one
            envelope = np.zeros(len(true) + 1)
            np.maximum.accumulate(
                (num_true / np.maximum(num_counted, 1))[::-1], out=envelope[-2::-1]
            )
            precision[row] = envelope[np.searchsorted(num_true / num_wanted, RECALLS)]
        return precision

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return (T,) AP in percent, NaN where nobody is to be found."""
        return 100 * self.precision(weights).mean(axis=1)

    def recall(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return (T,) the share of people found, in percent, NaN where nobody is to be found."""
        weights = np.ones(len(self._wanted)) if weights is None else weights
        num_wanted = self._wanted @ weights
        found = self._found @ weights
        return 100 * found / num_wanted if num_wanted else np.full(len(found), np.nan)

    def num_people(self, weights: np.ndarray | None = None) -> int:
        """Return how many people are to be found."""
        return int(self._wanted.sum() if weights is None else self._wanted @ weights)

    def summary(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """Return ``AP AP50 AP75 AR`` in percent, NaN where nobody is to be found.

        The thresholds are COCO's ten.
        """
        average, recall = self.average_precision(weights), self.recall(weights)
        return {
            "AP": float(average.mean()),
            "AP50": float(average[0]),
            "AP75": float(average[5]),
            "AR": float(recall.mean()),
        }
