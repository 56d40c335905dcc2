"""The exceptions that a tool turns into a single line and exit code 2."""

import difflib
from collections.abc import Iterable


class PoseError(Exception):
    """Base of the errors whose message is all the user needs: one line, with what to do next."""


class InputError(PoseError, ValueError):
    """Something the user gave is wrong."""


class UnreadablePhotoError(InputError):
    """A photo is missing, damaged or not what its annotations say; names the file."""


class DownloadError(PoseError):
    """A server did not deliver a file; says how much is kept and how to go on."""


class WorkerDiedError(PoseError):
    """A loading process was killed; says what to try."""


class OutOfMemoryError(PoseError):
    """The GPU's memory does not hold a batch; names its size and what to change."""


class NonFiniteLossError(PoseError, FloatingPointError):
    """A loss or gradient became infinite or NaN.

    Args:
        message: with iteration, losses and photos.
        iteration: the first whose update must not be made.
    """

    def __init__(self, message: str, iteration: int) -> None:
        super().__init__(message)
        self.iteration = iteration


class TrainingInterrupted(PoseError):
    """A signal ended training after a checkpoint was saved.

    Args:
        message: which signal, and how to go on.
        exit_code: 130 after SIGINT, 143 after SIGTERM.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class EarlyStop(PoseError):
    """Training ended before ``max_iter`` because the best metric stopped improving."""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the end of a message about an unknown name: the nearest known one, if one is near.

    >>> did_you_mean("max_itr", ["epochs", "max_iter"], "train")
    '; did you mean train.max_iter?'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    dot = "." if prefix else ""
    return f"; did you mean {prefix}{dot}{near[0]}?" if near else ""
