"""Poses over HTTP: a page and a REST endpoint; needs FastAPI and uvicorn, extra ``serve``."""

from pose_project.extras.serve.app import build_app
from pose_project.extras.serve.limits import Limits
from pose_project.extras.serve.server import serve

__all__ = ["Limits", "build_app", "serve"]
