"""From a model to an open port and back."""

import signal
import socket

import uvicorn
from fastapi import FastAPI

from pose_project.utils.cli import stop_signals
from pose_project.utils.errors import InputError

_MAX_CONNECTIONS = 1000
_SECONDS_TO_FINISH = 60


def open_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        InputError: if it cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise InputError(f"cannot listen at {host} port {port}: {reason}") from error


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM, and then those under way."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        # clients are told apart by their address; what a header says of it can be made up
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal once more when it is done; being asked to stop is not an error
    before = {each: signal.signal(each, stop) for each in stop_signals()}
    try:
        server.run(sockets=[listener])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
