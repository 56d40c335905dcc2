"""Tools set up logging to the standard output that a test captures; undo it after each test."""

import logging
from collections.abc import Iterator

import pytest
from detectron2.utils.logger import setup_logger

from pose_project.engine.run_folder import LOGGERS


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    yield
    for name in LOGGERS:
        logging.getLogger(name).handlers.clear()
    logging.getLogger("detectron2.engine.train_loop").filters.clear()
    setup_logger.cache_clear()
