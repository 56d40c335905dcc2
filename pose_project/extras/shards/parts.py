"""What is found in the photos of a shard, as a file: JSON lines, or Parquet for tables.

A line, or row, is a photo: ``file_name image_id height width`` and ``people`` as in COCO's results,
or ``problem`` of a photo that cannot be read.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from pose_project.utils.errors import InputError

JSON_LINES, PARQUET = ".jsonl", ".parquet"


def write_found(path: Path, suffix: str, batches: Iterable[list[dict[str, Any]]]) -> None:
    """Write the lines of all batches, one after the other.

    Args:
        path: the file, whatever its name.
        suffix: of ``JSON_LINES PARQUET``.
        batches: lines; a batch becomes a row group of Parquet.

    Raises:
        InputError: if Parquet is asked for and PyArrow is not installed, or an id is not a number.
    """
    if suffix == JSON_LINES:
        with open(path, "wb") as stream:
            for batch in batches:
                stream.writelines(orjson.dumps(line) + b"\n" for line in batch)
        return
    arrow, parquet = pyarrow()
    schema = _schema(arrow)
    with parquet.ParquetWriter(str(path), schema) as writer:
        for batch in batches:
            try:
                writer.write_table(arrow.Table.from_pylist(batch, schema))
            except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
                raise InputError(f"a photo does not fit into Parquet's columns: {error}") from error


def read_found(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of :func:`write_found`, told by its suffix."""
    if path.suffix == JSON_LINES:
        with open(path, "rb") as stream:
            yield from map(orjson.loads, stream)
        return
    _, parquet = pyarrow()
    with parquet.ParquetFile(str(path)) as opened:
        for batch in opened.iter_batches():
            for row in batch.to_pylist():
                line = {"image_id": None, **_without_none(row)}
                if "people" in line:
                    line["people"] = [_without_none(each) for each in line["people"]]
                yield line


def pyarrow() -> tuple[ModuleType, ModuleType]:
    """Return PyArrow and its Parquet.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("--parquet needs PyArrow: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet


def _schema(arrow: ModuleType) -> Any:
    numbers = arrow.list_(arrow.float64())
    mask = arrow.struct([("size", arrow.list_(arrow.int64())), ("counts", arrow.string())])
    person = [
        ("bbox", numbers),
        ("score", arrow.float64()),
        ("category_id", arrow.int64()),
        ("keypoints", numbers),
        ("segmentation", mask),
    ]
    return arrow.schema(
        [
            ("file_name", arrow.string()),
            ("image_id", arrow.int64()),
            ("height", arrow.int64()),
            ("width", arrow.int64()),
            ("people", arrow.list_(arrow.struct(person))),
            ("problem", arrow.string()),
        ]
    )


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
