"""What a model predicts: the categories in the JSON beside its weights."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pose_project.data import get_categories
from pose_project.utils.errors import InputError


def load_categories(cfg: DictConfig, weights: str) -> list[dict[str, Any]]:
    """Return what a model predicts, as ``categories`` of a COCO JSON, in the order of its classes.

    The JSON beside the weights says it; where there is none, the config's dataset for evaluation.

    Raises:
        InputError: if neither is there.
    """
    record = Path(weights).with_suffix(".json")
    if record.is_file():
        try:
            categories = json.loads(record.read_text(encoding="utf-8")).get("categories")
        except (ValueError, AttributeError) as error:
            raise InputError(f"{record}, beside the weights, is damaged: {error}") from error
        if categories:
            return categories
    return get_categories(cfg.dataloader.test.dataset.names)
