"""What every command line does alike: one clear line for an error, no traceback, exit codes."""

import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Callable

from pose_project.utils.errors import PoseError, TrainingInterrupted

EXIT_OK, EXIT_WRONG_INPUT = 0, 2


def run_tool(main: Callable[[], int | None], debug: bool) -> int:
    """Run a tool and return its exit code.

    Args:
        main: does the work; None counts as 0.
        debug: show tracebacks.

    Returns:
        What ``main`` returned; 2 after a :class:`PoseError` or a file that is not there or not
        accessible, with one line on stderr; 130 and 143 after SIGINT and SIGTERM.
    """
    # Detectron2 0.6 calls meshgrid as torch did then; nothing its users can do about.
    warnings.filterwarnings("ignore", message="torch.meshgrid")
    if not debug:
        # The training loop logs every exception with its traceback before it passes it on.
        logging.getLogger("detectron2.engine.train_loop").addFilter(_is_unexpected)
    try:
        return main() or EXIT_OK
    except TrainingInterrupted as interruption:
        print(interruption, file=sys.stderr)
        return interruption.exit_code
    except (PoseError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def stop_signals() -> list[signal.Signals]:
    """Return SIGINT and SIGTERM, as far as the system has them."""
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    if "DataLoader worker process" in text:
        # torch puts a worker's whole traceback into the message; its last line is the message
        text = text.splitlines()[-1].partition(": ")[2]
    return " ".join(text.split()) or type(error).__name__


def _is_unexpected(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (PoseError, OSError))
