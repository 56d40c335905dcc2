"""Predict the photos in tar shards: one file a shard, instead of one a photo."""

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import orjson
from omegaconf import DictConfig
from tqdm import tqdm

from pose_project.data.image_reading import decode_photo, is_image_file, why_unreadable
from pose_project.evaluation.model_categories import load_categories
from pose_project.extras.shards.parts import (
    JSON_LINES,
    PARQUET,
    pyarrow,
    read_found,
    write_found,
)
from pose_project.extras.shards.reading import (
    INDEX,
    check_size,
    is_shard_folder,
    iterate_members,
    open_shards,
)
from pose_project.extras.shards.remote_files import fetch_into, is_address, local_folder
from pose_project.inference import PosePredictor
from pose_project.inference.finished_parts import settings_of
from pose_project.inference.folder import Engine
from pose_project.inference.run import own_share, use_own_gpu
from pose_project.structures.coco_results import to_coco_results
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, remove_leftovers, write_text_atomic
from pose_project.utils.parts_folder import check_parts_folder, open_parts_folder


@dataclass(frozen=True)
class Tar:
    """A tar file to predict.

    Attributes:
        path: of the file, which may be still to be fetched.
        sha256: hexadecimal, where an index says it.
        suffix: of the file for what is found in it.
    """

    path: Path
    sha256: str | None = None
    suffix: str = JSON_LINES

    def part(self, output: Path) -> Path:
        """Return the file for what is found in it."""
        return output / "shards" / f"{self.path.stem}{self.suffix}"

    def is_done(self, output: Path) -> bool:
        """Return whether it was predicted and is the same since: its part has its time."""
        part = self.part(output)
        if not part.exists() or not self.path.exists():
            return part.exists()
        return part.stat().st_mtime_ns == self.path.stat().st_mtime_ns


@dataclass(frozen=True)
class _Sample:
    """A photo of a shard, and what its JSON says of the image, {} without one."""

    name: str
    data: bytes
    image: dict[str, Any]


def find_tars(inputs: Sequence[str]) -> list[Tar] | None:
    """Return the shards that are meant: tar files, folders of them, addresses; None if photos are.

    Raises:
        InputError: if shards and photos are mixed, two have the same name, or one is missing or
            torn.
    """
    are_shards = [_means_shards(each) for each in inputs]
    if not any(are_shards):
        return None
    if not all(are_shards):
        other = inputs[are_shards.index(False)]
        raise InputError(f"{other} is not a shard: predict shards and photos in two runs")
    tars = [tar for each in inputs for tar in _tars_of(each)]
    names = [tar.path.name for tar in tars]
    if len(set(names)) < len(names):
        raise InputError("two shards have the same name: predict them into two folders")
    return tars


def predict_tars(
    tars: Sequence[Tar],
    output: Path,
    cfg: DictConfig,
    weights: str,
    batch_size: int,
    save_json: bool = False,
    engine: Engine | None = None,
    parquet: bool = False,
) -> None:
    """Predict this process's share of the shards; whoever finds everything done sums it up.

    A shard whose file is there is done: after a kill, the same command goes on.

    Args:
        tars: of ``find_tars``.
        output: a folder; ``shards/NAME.jsonl`` for each, ``results.json`` if asked for.
        cfg: of the model.
        weights: its checkpoint.
        batch_size: photos that go through the model together.
        save_json: also write everything as COCO's results.
        engine: predicts elsewhere; None does so in this process.
        parquet: ``shards/NAME.parquet`` instead.

    Raises:
        InputError: if model or folder do not fit, or a shard is torn; what is done is kept.
    """
    if parquet:
        pyarrow()  # before anything is computed
        tars = [replace(tar, suffix=PARQUET) for tar in tars]
    use_own_gpu()
    settings = settings_of(cfg, weights, load_categories(cfg, weights), [])
    folder = output / "shards"
    check_parts_folder(folder, settings)
    share = own_share(tars)
    todo = [tar for tar in share if not tar.is_done(output)]
    if todo:
        open_parts_folder(folder, settings)
        make_worker = partial(_make_worker, cfg, weights, output, batch_size)
        if engine:
            engine(make_worker, todo, 1)
        else:
            make_worker()(todo)
    finish_tars(tars, output, len(share) - len(todo), save_json)


def _make_worker(
    cfg: DictConfig, weights: str, output: Path, batch_size: int
) -> Callable[[Sequence[Tar]], None]:
    predictor = PosePredictor(cfg, weights)

    def predict(tars: Sequence[Tar]) -> None:
        for tar in tqdm(tars, unit="shard", disable=None):
            predict_tar(tar, tar.part(output), predictor, batch_size)

    return predict


def finish_tars(tars: Sequence[Tar], output: Path, done_before: int, save_json: bool) -> None:
    """Print what was found in all shards, and write it as COCO's results if asked for."""
    missing = sum(not tar.is_done(output) for tar in tars)
    if missing:
        print(f"{missing} of {len(tars)} shards are still with other processes")
        return
    photos = people = problems = 0
    for line in _lines(tars, output):
        photos += 1
        people += len(line.get("people", ()))
        if "problem" in line:
            problems += 1
            print(f"not read: {line['problem']}", file=sys.stderr)
    if save_json:
        _write_results(tars, output)
    before = f", {done_before} of them earlier" if done_before else ""
    print(
        f"{len(tars)} shards{before}: {people} detections in {photos - problems} photos; "
        f"{problems} photos with problems; all in {output}"
    )


def predict_tar(tar: Tar, part: Path, predictor: PosePredictor, batch_size: int) -> None:
    """Write what is found in a shard, a line a photo in the shard's order, all at once.

    A line has ``file_name image_id height width`` and ``people`` as in COCO's results; or
    ``file_name image_id problem`` of a photo that cannot be read. The part gets the time of the
    shard, so that another shard under its name is noticed.

    Raises:
        InputError: if the shard is torn.
    """
    fetch_into(tar.path, tar.sha256)
    changed = tar.path.stat().st_mtime_ns
    samples = _samples(tar.path)
    remove_leftovers(part)
    with atomic_path(part) as temporary:
        batches = iter(lambda: list(itertools.islice(samples, batch_size)), [])
        lines = (_predict_batch(tar.path, batch, predictor) for batch in batches)
        write_found(temporary, part.suffix, lines)
        os.utime(temporary, ns=(changed, changed))


def _predict_batch(
    path: Path, batch: list[_Sample], predictor: PosePredictor
) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    images: dict[int, np.ndarray] = {}
    for number, sample in enumerate(batch):
        name, id_ = sample.image.get("file_name", sample.name), sample.image.get("id")
        lines.append({"file_name": name, "image_id": id_})
        try:
            images[number] = decode_photo(sample.data, "BGR")
        except Exception as error:  # decoders raise nearly anything on damaged files
            reason = why_unreadable(error)
            lines[-1]["problem"] = f"{path}/{sample.name} cannot be used: {reason}"
    category_ids = [each["id"] for each in predictor.categories]
    found = predictor.predict(list(images.values()))
    for (number, image), poses in zip(images.items(), found, strict=True):
        people = to_coco_results([poses], [0], predictor.schema, category_ids)
        for each in people:
            del each["image_id"]  # once, in the line
        lines[number] |= {"height": image.shape[0], "width": image.shape[1], "people": people}
    return lines


def _samples(path: Path) -> Iterator[_Sample]:
    """Yield the photos of a tar file with the JSON of the same key, which stands next to them."""
    key, photo, image = "", None, {}
    with open(path, "rb") as stream:
        for member in iterate_members(path):
            name = Path(member.name)
            member_key = str(name.parent / name.name.partition(".")[0])
            if member_key != key:
                if photo is not None:
                    yield _Sample(*photo, image)
                key, photo, image = member_key, None, {}
            is_json = name.suffix.lower() == ".json"
            if not is_json and not is_image_file(name):
                continue
            stream.seek(member.offset_data)
            data = stream.read(member.size)
            if is_json:
                image = _image_of(data)
            else:
                photo = member.name, data
    if photo is not None:
        yield _Sample(*photo, image)


def _image_of(data: bytes) -> dict[str, Any]:
    """Return the image that the command ``shard`` wrote; JSON of other makers says nothing."""
    try:
        image = orjson.loads(data)["image"]
        return {"id": image["id"], "file_name": image["file_name"]}
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return {}


def _means_shards(typed: str) -> bool:
    if is_address(typed):
        import fsspec  # late: only addresses need it

        # a folder; a photo's or a camera's address is refused as such
        is_known = typed.partition("://")[0] in fsspec.available_protocols()
        return is_known and not PurePosixPath(typed).suffix
    path = Path(typed)
    return path.suffix == ".tar" or (path.is_dir() and is_shard_folder(path))


def _tars_of(typed: str) -> list[Tar]:
    if is_address(typed):
        root = local_folder(typed)
        fetch_into(root / INDEX)
    else:
        root = Path(typed)
        if root.suffix == ".tar":
            return [Tar(_whole(root))]
    shards = open_shards(root)
    for shard in shards.shards:
        if (root / shard.name).exists():
            check_size(root / shard.name, shard)
    return [Tar(root / each.name, each.sha256) for each in shards.shards]


def _whole(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"no shard at {path}")
    next(iterate_members(path), None)  # raises if it is torn
    return path


def _lines(tars: Sequence[Tar], output: Path) -> Iterator[dict[str, Any]]:
    for tar in tars:
        yield from read_found(tar.part(output))


def _write_results(tars: Sequence[Tar], output: Path) -> None:
    """Write ``results.json`` and ``images.json``; photos without an id are counted from 1."""
    images = []
    with (
        atomic_path(output / "results.json") as temporary,
        open(temporary, "w", encoding="utf-8") as stream,
    ):
        separator = "[\n"
        for number, line in enumerate(_lines(tars, output), 1):
            id_ = number if line["image_id"] is None else line["image_id"]
            if "problem" not in line:
                image = {key: line[key] for key in ("file_name", "height", "width")}
                images.append({"id": id_, **image})
            for each in line.get("people", ()):
                stream.write(separator + json.dumps({"image_id": id_, **each}))
                separator = ",\n"
        stream.write("\n]\n" if separator == ",\n" else "[]\n")
    write_text_atomic(output / "images.json", json.dumps({"images": images}) + "\n")
