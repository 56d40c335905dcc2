"""The table of docs/settings.md: ``PYTHONPATH=.:tests python -m helpers.settings_table``."""

from collections.abc import Iterator
from dataclasses import is_dataclass

from pose_project.config.settings import expected_values, typed_fields
from pose_project.config.train_settings import TrainSettings


def settings_table(kind: type, name: str) -> str:
    """Return a Markdown table of all keys below ``name``: default, values, meaning."""
    rows = ["| key | default | values | meaning |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(each)} |" for each in _rows(kind, name)]
    return "\n".join(rows) + "\n"


def _rows(kind: type, name: str) -> Iterator[tuple[str, str, str, str]]:
    defaults = kind()
    for each, hint in typed_fields(kind):
        key = f"{name}.{each.name}"
        if is_dataclass(hint):
            yield from _rows(hint, key)
            continue
        default = getattr(defaults, each.name)
        shown = "null" if default is None else str(default) or '""'
        yield f"`{key}`", f"`{shown}`", expected_values(hint, each.metadata), each.metadata["doc"]


if __name__ == "__main__":
    print(settings_table(TrainSettings, "train"), end="")
