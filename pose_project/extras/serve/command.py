"""Serve a model: a page to drop photos on, and a REST endpoint.

    pose-project serve [--model NAME] [--port 8000]
    pose-project serve --config-file F --weights W train.inference.test_time.temperature=1.15
    curl --data-binary @photo.jpg http://127.0.0.1:8000/api/poses

Keypoint scores are probabilities, and covariances come along: temperature is 1.0 unless told.
Everybody who can reach the port can use it: other hosts than 127.0.0.1 belong behind a proxy that
knows its users and bounds how long a request's header may take.

Exit codes: 0 after SIGINT or SIGTERM, requests under way answered; 2 wrong input, in one line.
"""

import argparse
import logging

from pose_project.commands.options import (
    add_device_option,
    add_model_options,
    read_model,
)
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the address and the limits."""
    add_model_options(parser)
    add_device_option(parser)
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


def run(arguments: argparse.Namespace) -> None:
    """Load the model and serve it."""
    # late, since --help is answered without PyTorch
    try:
        from pose_project.extras.serve.app import build_app
        from pose_project.extras.serve.limits import Limits
        from pose_project.extras.serve.server import open_port, serve
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing: pip install -e '.[serve]'") from error
    from pose_project.inference.predictor import PosePredictor

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
        cfg, weights = read_model(arguments)
        if cfg.train.inference.test_time.temperature is None:
            cfg.train.inference.test_time.temperature = 1.0
        predictor = PosePredictor(cfg, weights)
        host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        logger.info("Poses at http://%s:%d/", host, listener.getsockname()[1])
        serve(build_app(predictor, limits), listener)
    logger.info("Stopped")
