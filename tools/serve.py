"""Serve a model: a page to drop photos on, and a REST endpoint.

    python tools/serve.py --config-file F --weights W [--port 8000]
    python tools/serve.py --config-file F --weights W train.inference.test_time.temperature=1.15
    curl --data-binary @photo.jpg http://127.0.0.1:8000/api/poses

Keypoint scores are probabilities, and covariances come along: temperature is 1.0 unless told.
Everybody who can reach the port can use it: other hosts than 127.0.0.1 belong behind a proxy that
knows its users and bounds how long a request's header may take.

Exit codes: 0 after SIGINT or SIGTERM, requests under way answered; 2 wrong input, in one line.
"""

import argparse
import logging
import sys

from detectron2.utils.logger import setup_logger

from pose_project.engine import load_config
from pose_project.inference import PosePredictor
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError

logger = logging.getLogger("pose_project")


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--weights", required=True, metavar="FILE", help="its checkpoint")
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--max-mb", type=float, default=20, help="of an upload, in 10^6 bytes (default: 20)"
    )
    parser.add_argument(
        "--max-megapixels", type=float, default=25, help="of a photo, 10^6 pixels (default: 25)"
    )
    parser.add_argument(
        "--max-waiting",
        type=int,
        default=64,
        help="requests at once, else 503; half of it from one address, else 429 (default: 64)",
    )
    parser.add_argument(
        "--max-per-minute",
        type=int,
        default=600,
        help="requests of one address, else 429; 0: any number (default: 600)",
    )
    parser.add_argument("--max-batch", type=int, default=8, help="photos at once (default: 8)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Load the model and serve it."""
    try:
        from pose_project.extras.serve import Limits, build_app, serve
        from pose_project.extras.serve.server import open_port
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing: pip install -e '.[serve]'") from error
    for name in ("max_mb", "max_megapixels", "max_waiting", "max_batch"):
        if not getattr(arguments, name) > 0:
            raise InputError(f"--{name.replace('_', '-')} must be above 0")
    if arguments.max_per_minute < 0:
        raise InputError("--max-per-minute must be at least 0")
    limits = Limits(
        max_bytes=int(arguments.max_mb * 1e6),
        max_pixels=int(arguments.max_megapixels * 1e6),
        max_waiting=arguments.max_waiting,
        max_per_minute=arguments.max_per_minute,
        max_batch=arguments.max_batch,
    )
    with open_port(arguments.host, arguments.port) as listener:
        cfg = load_config(arguments.config_file, arguments.opts)
        if cfg.train.inference.test_time.temperature is None:
            cfg.train.inference.test_time.temperature = 1.0
        predictor = PosePredictor(cfg, arguments.weights)
        host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        logger.info("Poses at http://%s:%d/", host, listener.getsockname()[1])
        serve(build_app(predictor, limits), listener)
    logger.info("Stopped")


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
