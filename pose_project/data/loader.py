"""The loader for training; evaluation uses Detectron2's ``build_detection_test_loader``.

Augmentation draws its random numbers from a state that depends only on (seed, position), so a
photo is augmented alike in any worker, in any number of workers and after any interruption.
"""

import logging
import os
import random
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from detectron2.data import DatasetFromList
from detectron2.utils import comm
from torch.utils.data import DataLoader, Dataset, get_worker_info

from pose_project.data.collate import pack, unpack
from pose_project.data.sampler import PositionalBatchSampler
from pose_project.utils.errors import (
    InputError,
    PoseError,
    UnreadablePhotoError,
    WorkerDiedError,
)

logger = logging.getLogger(__name__)

Mapper = Callable[[dict[str, Any]], dict[str, Any]]


class PositionedDataset(Dataset[dict[str, Any]]):
    """Mapped photos, addressed by (position in the stream, index of the photo).

    A photo that cannot be read is replaced by another one, which one again a function of seed and
    position; its error is put into the result under ``unreadable``.
    """

    def __init__(
        self,
        dataset_dicts: Sequence[dict[str, Any]],
        mapper: Mapper,
        seed: int,
        max_unreadable: int,
    ) -> None:
        # Serialized into one array, so that workers share it instead of copying it.
        self.dataset = DatasetFromList(list(dataset_dicts), copy=False, serialize=True)
        self.mapper = mapper
        self.seed = seed
        self.max_unreadable = max_unreadable
        # by worker: its process number and the photo it is at; read after the worker's death
        self.at_work = torch.zeros(0, 2, dtype=torch.int64)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """Return the mapped photo; the random state outside is left as it was.

        Raises:
            UnreadablePhotoError: if ``max_unreadable`` replacements in a row fail as well.
        """
        position, index = key
        worker = get_worker_info()
        if worker is not None:
            self.at_work[worker.id] = torch.tensor([os.getpid(), index])
        errors: dict[str, str] = {}
        for attempt in range(self.max_unreadable + 1):
            photo = self.dataset[index]
            try:
                with seeded(self.seed, position, attempt):
                    mapped = self.mapper(photo)
                return {**mapped, "unreadable": errors} if errors else mapped
            except UnreadablePhotoError as error:
                errors[photo["file_name"]] = str(error)
            rng = np.random.default_rng((self.seed, position, attempt))
            index = int(rng.integers(len(self.dataset)))
        raise UnreadablePhotoError(
            f"{len(errors)} photos in a row cannot be read (dataloader.train.max_unreadable="
            f"{self.max_unreadable}): {next(iter(errors.values()))}"
        )

    def files_of(self, process_numbers: set[int]) -> list[str]:
        """Return the files that these worker processes were at."""
        indices = [index for pid, index in self.at_work.tolist() if pid in process_numbers]
        return [self.dataset[index]["file_name"] for index in indices]


class TrainLoader:
    """An endless iterable over the batches of a training run, from any batch on.

    Attributes:
        num_photos: photos per epoch.
        total_batch_size: photos per batch over all processes.
        iterations_per_epoch: floor(num_photos / total_batch_size).
    """

    def __init__(
        self, dataset: PositionedDataset, batch_sampler: PositionalBatchSampler, num_workers: int
    ) -> None:
        self.dataset = dataset
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.num_photos = len(batch_sampler.is_wide)
        self.total_batch_size = batch_sampler.total_batch_size
        self.iterations_per_epoch = self.num_photos // self.total_batch_size
        self._unreadable: set[str] = set()
        self._probed: tuple[int | None, list[dict[str, Any]]] = (None, [])

    def start_at(self, batch: int) -> None:
        """Make the next iteration begin with batch number ``batch``."""
        self.batch_sampler.first_batch = batch

    def probe(self) -> None:
        """Load the next batch in this process: wrong data shows before a run.

        It is what the next iteration begins with, so nothing is loaded twice.

        Raises:
            InputError: naming the photo at fault.
        """
        batch = [self.dataset[key] for key in next(iter(self.batch_sampler))]
        self._count_unreadable(batch)
        self._probed = self.batch_sampler.first_batch, batch

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """Yield lists of model inputs; nothing runs before the first is asked for.

        Call ``start_at`` before iterating again.

        Raises:
            UnreadablePhotoError: if more different files than allowed could not be read.
            WorkerDiedError: if a loading process was killed.
        """
        (number, batch), self._probed = self._probed, (None, [])
        is_probed = number == self.batch_sampler.first_batch
        if is_probed:
            self.batch_sampler.first_batch += 1
        self.dataset.at_work = torch.zeros(self.num_workers, 2, dtype=torch.int64).share_memory_()
        loader = DataLoader(
            self.dataset,
            batch_sampler=self.batch_sampler,
            num_workers=self.num_workers,
            collate_fn=pack if self.num_workers else _as_list,
            pin_memory=_can_pin_memory(),
            worker_init_fn=_leave_interrupts_to_the_parent,
            # its own generator: by default a loader draws from the global random state
            generator=torch.Generator().manual_seed(self.dataset.seed),
        )
        try:
            rest = iter(loader)  # workers begin now
            if is_probed:
                yield batch
            for loaded in rest:
                batch = unpack(loaded) if self.num_workers else loaded
                self._count_unreadable(batch)
                yield batch
        except RuntimeError as error:
            if "DataLoader worker" not in str(error) or isinstance(error, PoseError):
                raise
            message = str(error).splitlines()[0]
            files = self.dataset.files_of({int(number) for number in re.findall(r"\d+", message)})
            raise WorkerDiedError(
                f"a loading process died at {', '.join(files) or 'an unknown photo'} ({message}). "
                "Too little memory is the usual cause: lower dataloader.train.num_workers"
            ) from error

    def _count_unreadable(self, batch: list[dict[str, Any]]) -> None:
        for photo in batch:
            for file_name, reason in photo.pop("unreadable", {}).items():
                if file_name not in self._unreadable:
                    self._unreadable.add(file_name)
                    logger.warning("Replaced a photo by another one: %s", reason)
        if len(self._unreadable) > self.dataset.max_unreadable:
            raise UnreadablePhotoError(
                f"{len(self._unreadable)} photos cannot be read, more than "
                f"dataloader.train.max_unreadable={self.dataset.max_unreadable}; the last is "
                f"{sorted(self._unreadable)[-1]}"
            )


def build_train_loader(
    dataset: Sequence[dict[str, Any]],
    mapper: Mapper,
    total_batch_size: int,
    num_workers: int = 0,
    seed: int = 0,
    max_unreadable: int = 10,
) -> TrainLoader:
    """Return this process's loader for training.

    Args:
        dataset: dataset dicts, see ``get_dataset_dicts``.
        mapper: from a dataset dict to the model's input.
        total_batch_size: photos per iteration over all processes.
        num_workers: loading processes for each training process; 0 loads in the process itself.
        seed: of order and augmentation.
        max_unreadable: different photos that may be unreadable before training stops; each is
            logged once and replaced by another photo.

    Raises:
        InputError: if there are fewer photos than one batch, or the processes cannot share it.
    """
    if len(dataset) < total_batch_size:
        raise InputError(
            f"{len(dataset)} photos with people do not fill one batch of {total_batch_size}; "
            "lower dataloader.train.total_batch_size"
        )
    if getattr(mapper, "use_instance_mask", False):
        _say_who_has_no_mask(dataset, getattr(mapper, "keep_without_mask", False))
    sizes = [(each["height"], each["width"]) for each in dataset]
    try:
        sampler = PositionalBatchSampler(
            sizes, total_batch_size, seed, comm.get_rank(), comm.get_world_size()
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    return TrainLoader(
        PositionedDataset(dataset, mapper, seed, max_unreadable), sampler, num_workers
    )


def _say_who_has_no_mask(dataset: Sequence[dict[str, Any]], are_kept: bool) -> None:
    people = [a for each in dataset for a in each["annotations"] if not a.get("iscrowd", 0)]
    without = sum("segmentation" not in each for each in people)
    if without:
        fate = "their masks teach nothing" if are_kept else "they are left out"
        logger.warning("%d of %d people have no mask: %s", without, len(people), fate)


@contextmanager
def seeded(seed: int, *position: int) -> Iterator[None]:
    """Run a block with Python's, NumPy's and torch's random states set from (seed, *position).

    That of GPUs is left as it is.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed_cpu(seed, *position)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def seed_everything(seed: int, *position: int) -> None:
    """Set the random states of Python, NumPy and torch (CUDA included) from (seed, *position)."""
    torch.manual_seed(_seed_cpu(seed, *position))


def _seed_cpu(seed: int, *position: int) -> int:
    """Set the random states of Python, NumPy and torch's CPU, and return torch's seed."""
    words = np.random.SeedSequence((seed, *position)).generate_state(4).tolist()
    random.seed(words[0])
    np.random.seed(words[1])
    torch_seed = words[2] << 32 | words[3]
    torch.default_generator.manual_seed(torch_seed)  # torch.manual_seed asks all devices: slow
    return torch_seed


def _can_pin_memory() -> bool:
    # release 2.4 of PyTorch, the oldest here, knows accelerators by CUDA's name only
    has_accelerator = getattr(torch, "accelerator", torch.cuda).is_available()
    return has_accelerator and not torch.backends.mps.is_available()


def _leave_interrupts_to_the_parent(worker_id: int) -> None:
    # A terminal sends Ctrl-C to workers as well, but the iteration they feed is to be finished.
    del worker_id
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _as_list(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return batch
