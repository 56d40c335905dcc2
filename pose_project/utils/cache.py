"""Where files are kept that can be made or fetched again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$POSE_PROJECT_CACHE``, else ``~/.cache/pose_project``; it may not be there yet."""
    return Path(os.environ.get("POSE_PROJECT_CACHE") or "~/.cache/pose_project").expanduser()
