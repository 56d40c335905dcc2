"""Poses over HTTP: a page and a REST endpoint; needs FastAPI and uvicorn, extra ``serve``."""

from pose_project.serving.app import build_app
from pose_project.serving.limits import Limits
from pose_project.serving.server import serve

__all__ = ["Limits", "build_app", "serve"]
