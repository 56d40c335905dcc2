"""Poses over HTTP: a page and a REST endpoint; needs FastAPI and uvicorn, extra ``serve``."""
