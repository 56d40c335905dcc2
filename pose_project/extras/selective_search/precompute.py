"""Proposals of a whole dataset, by several processes, in a run that can be killed and continued.

What is done lies in ``<output>.parts``, a file a photo, until the output is written.
"""

import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from pose_project.data.image_reading import read_photo
from pose_project.extras.selective_search.proposal_files import write_proposal_file
from pose_project.extras.selective_search.regions import require_scikit_image
from pose_project.extras.selective_search.search import MAX_SIDE, MODES, selective_search
from pose_project.utils.errors import InputError, UnreadablePhotoError, WorkerDiedError
from pose_project.utils.files import atomic_path
from pose_project.utils.parts_folder import open_parts_folder


def precompute_proposals(
    dataset_dicts: list[dict[str, Any]],
    output: Path,
    mode: str = "fast",
    limit: int = 2000,
    workers: int = 1,
) -> tuple[list[np.ndarray], list[str]]:
    """Write the file of a dataset's proposals; a run that was interrupted goes on where it was.

    The file depends on photos, mode and limit alone: not on workers or interruptions.

    Args:
        dataset_dicts: every photo to make proposals for.
        output: written at the end, whole; it must not exist.
        mode: of ``selective_search``.
        limit: the most proposals of a photo.
        workers: processes; 1 is this one.

    Returns:
        proposals: (N, 4) float32 XYXY_ABS for each photo, the best first.
        unreadable: a line for each photo that could not be read, and has no proposals (N = 0).

    Raises:
        InputError: if the output exists, or parts of another run lie beside it, or scikit-image is
            not installed.
        WorkerDiedError: if a process was killed.
    """
    require_scikit_image()
    if limit < 1 or workers < 1:
        raise InputError(f"limit and workers must be at least 1, got {limit} and {workers}")
    if output.exists():
        raise InputError(f"{output} is already there; remove it or choose another output")
    parts = output.with_name(output.name + ".parts")
    open_parts_folder(parts, _settings(dataset_dicts, mode, limit))
    missing = [n for n in range(len(dataset_dicts)) if not _part(parts, n).exists()]
    work = partial(_write_part, parts, mode=mode, limit=limit)
    done = _in_processes if workers > 1 else _in_this_process
    unreadable: dict[int, str] = {}
    with tqdm(total=len(dataset_dicts), unit="photo", disable=None) as progress:
        progress.update(len(dataset_dicts) - len(missing))
        for number, reason in done(work, [(n, dataset_dicts[n]) for n in missing], workers):
            if reason is not None:
                unreadable[number] = reason
            progress.update()
    proposals = [
        np.zeros((0, 4), np.float32) if number in unreadable else np.load(_part(parts, number))
        for number in range(len(dataset_dicts))
    ]
    write_proposal_file(output, [photo["image_id"] for photo in dataset_dicts], proposals)
    shutil.rmtree(parts)
    return proposals, [unreadable[number] for number in sorted(unreadable)]


def _settings(dataset_dicts: list[dict[str, Any]], mode: str, limit: int) -> dict[str, Any]:
    """Return what the parts depend on."""
    images = json.dumps([(str(each["image_id"]), each["file_name"]) for each in dataset_dicts])
    return {
        "mode": mode,
        **asdict(MODES[mode]),
        "limit": limit,
        "max_side": MAX_SIDE,
        "photos": hashlib.sha256(images.encode()).hexdigest(),
    }


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:06d}.npy"


def _write_part(
    parts: Path, number: int, photo: dict[str, Any], mode: str, limit: int
) -> tuple[int, str | None]:
    """Write one photo's proposals; return its number, and the reason if it cannot be read."""
    try:
        image = read_photo(photo, "BGR")
    except UnreadablePhotoError as error:
        return number, str(error)
    boxes = selective_search(image, mode, limit)
    with atomic_path(_part(parts, number)) as temporary, open(temporary, "wb") as stream:
        np.save(stream, boxes)
    return number, None


_Work = partial[tuple[int, str | None]]


def _in_this_process(
    work: _Work, photos: list[tuple[int, dict[str, Any]]], workers: int
) -> Iterator[tuple[int, str | None]]:
    del workers
    for number, photo in photos:
        yield work(number, photo)


def _in_processes(
    work: _Work, photos: list[tuple[int, dict[str, Any]]], workers: int
) -> Iterator[tuple[int, str | None]]:
    # Spawned, since a fork of a process that runs threads may hang.
    pool = ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_set_up_worker,
    )
    try:
        # without its annotations a photo's dict is small to send
        futures = [
            pool.submit(work, number, {**photo, "annotations": []}) for number, photo in photos
        ]
        for future in as_completed(futures):
            yield future.result()
    except KeyboardInterrupt:
        for worker in multiprocessing.active_children():
            worker.terminate()  # nothing is lost but the photos they are at
        raise
    except BrokenProcessPool as error:
        raise WorkerDiedError(
            "a process was killed. Too little memory is the usual cause: lower --workers; the same "
            "command goes on where this one was"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _set_up_worker() -> None:
    cv2.setNumThreads(1)
    # A terminal sends Ctrl-C to workers as well; their parent ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A worker whose parent was killed would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
