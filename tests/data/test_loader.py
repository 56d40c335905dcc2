import gc
import itertools
import logging
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from helpers.annotations import person

from pose_project.data import (
    KeypointMapper,
    build_train_loader,
    get_dataset_dicts,
    register_keypoint_dataset,
)
from pose_project.data.loader import seeded
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError, UnreadablePhotoError, WorkerDiedError


@pytest.fixture
def dicts(write_dataset):
    annotations = [person(image_id=i, annotation_id=i) for i in range(1, 8)]
    register_keypoint_dataset("loaded", *write_dataset(annotations, sizes_hw=((64, 80),) * 7))
    return get_dataset_dicts("loaded")


def make_loader(dicts, **changes):
    augmentations = [
        T.RandomFlip(),
        T.RandomBrightness(0.5, 1.5),
        T.RandomCrop("relative", (0.9, 0.9)),
    ]
    mapper = KeypointMapper(augmentations, COCO_PERSON.hflip_indices)
    return build_train_loader(dicts, mapper, **{"total_batch_size": 2, "seed": 3, **changes})


def content(loader, count):
    return [
        (photo["image_id"], photo["image"].sum().item(), photo["instances"].gt_keypoints.tensor)
        for batch in itertools.islice(loader, count)
        for photo in batch
    ]


def assert_same(actual, expected):
    for (id_a, sum_a, points_a), (id_b, sum_b, points_b) in zip(actual, expected, strict=True):
        assert (id_a, sum_a) == (id_b, sum_b)
        assert torch.equal(points_a, points_b)


def test_an_interrupted_run_sees_the_same_photos_augmented_alike(dicts):
    whole = content(make_loader(dicts), 8)
    loader = make_loader(dicts)
    loader.start_at(5)
    assert_same(content(loader, 3), whole[10:])


@pytest.mark.integration
@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_do_not_change_the_data(dicts, num_workers):
    assert_same(
        content(make_loader(dicts, num_workers=num_workers), 6), content(make_loader(dicts), 6)
    )


def test_loading_leaves_the_global_random_state_alone(dicts):
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    content(make_loader(dicts), 3)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])


def test_seeded_depends_on_the_position_alone():
    def draw(*position):
        with seeded(*position):
            return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw(1, 5) == draw(1, 5)
    assert len({draw(1, 5), draw(1, 6), draw(2, 5)}) == 3


def test_epoch_is_what_fills_whole_batches(dicts):
    loader = make_loader(dicts, total_batch_size=3)
    assert (loader.num_photos, loader.iterations_per_epoch) == (7, 2)


def test_fewer_photos_than_a_batch(dicts):
    with pytest.raises(InputError, match="7 photos.*total_batch_size"):
        make_loader(dicts, total_batch_size=8)


def break_photos(dicts, *indices) -> None:
    for index in indices:
        Path(dicts[index]["file_name"]).write_bytes(b"no photo")


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.integration)])
def test_unreadable_photos_are_replaced_and_logged_once(dicts, caplog, num_workers):
    break_photos(dicts, 2)
    loader = make_loader(dicts, num_workers=num_workers)
    seen = content(loader, 14)  # four passes over seven photos
    assert len(seen) == 28 and 3 not in {image_id for image_id, _, _ in seen}
    assert sum("Replaced a photo" in message for message in caplog.messages) == 1
    assert_same(content(make_loader(dicts), 14), seen)


def test_too_many_unreadable_photos_stop_the_run(dicts):
    break_photos(dicts, 0, 1, 2)
    with pytest.raises(UnreadablePhotoError, match="max_unreadable=1"):
        content(make_loader(dicts, max_unreadable=1), 14)


def test_nothing_but_unreadable_photos(dicts):
    break_photos(dicts, *range(7))
    with pytest.raises(UnreadablePhotoError, match="cannot be used"):
        content(make_loader(dicts), 1)


class Killer:
    """A mapper whose process is killed at one photo, as by the system when memory runs out."""

    def __call__(self, photo):
        if photo["image_id"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return photo


@pytest.mark.integration
@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_killed_worker_is_one_clear_line_that_names_the_photo(dicts, num_workers):
    loader = build_train_loader(dicts, Killer(), total_batch_size=2, num_workers=num_workers)
    file_name = dicts[2]["file_name"]
    assert dicts[2]["image_id"] == 3
    with pytest.raises(WorkerDiedError, match=f"died at {file_name} .*num_workers"):
        list(itertools.islice(loader, 14))


def held_mb(process_number: int) -> float:
    """Return the anonymous memory of a process, in 10^6 bytes.

    Pages that a fork shares count for both. Once written to, they are each process's own, which a
    measure of private memory takes for growth: one garbage collection touches them all.
    """
    rollup = Path(f"/proc/{process_number}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in rollup if line.startswith("Anonymous:"))
    return int(kilobytes) * 1024 / 1e6


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is from /proc")
def test_memory_does_not_grow_over_ten_thousand_photos(dicts):
    """Neither the loading process's nor this one's; after the first 2,000 all caches are full."""
    batch, marks = 20, (2_000, 10_000)
    loader = make_loader(dicts * 20, total_batch_size=batch, num_workers=1)
    sizes, batches = [], iter(loader)
    for photos in (marks[0], marks[1] - marks[0]):
        for _ in range(photos // batch):
            next(batches)
        worker = int(loader.dataset.at_work[0, 0])
        sizes.append((held_mb(os.getpid()), held_mb(worker)))
        gc.collect()  # copies the pages that both have, which is not growth
    assert worker != os.getpid()
    (own_before, worker_before), (own_after, worker_after) = sizes
    assert own_after - own_before < 10
    assert worker_after - worker_before < 10


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is from /proc")
def test_a_worker_has_no_copy_of_the_dataset(dicts):
    """100 MB of annotations are in one array that the processes share."""
    heavy = [dict(each, ballast=os.urandom(100_000)) for each in dicts * 150]
    loader = make_loader(heavy, total_batch_size=2, num_workers=1)
    del heavy
    before = held_mb(os.getpid())
    batches = iter(loader)
    for _ in range(200):
        next(batches)
    assert held_mb(int(loader.dataset.at_work[0, 0])) - before < 20


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_probed_batch_comes_first_and_once(dicts, num_workers):
    whole = content(make_loader(dicts), 6)
    loader = make_loader(dicts, num_workers=num_workers)
    loader.start_at(2)
    loader.probe()
    assert_same(content(loader, 4), whole[4:])


def test_a_batch_probed_elsewhere_is_not_used(dicts):
    whole = content(make_loader(dicts), 4)
    loader = make_loader(dicts)
    loader.probe()
    loader.start_at(1)
    assert_same(content(loader, 3), whole[2:])


def test_people_without_a_mask_are_counted_where_masks_are_learnt(write_dataset, caplog):
    square = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0]]
    people = [person(), person(1, 2, segmentation=square), person(1, 3, iscrowd=1)]
    json_file, photos = write_dataset(people)
    dicts = get_dataset_dicts(f"{json_file}@{photos}")
    for use_instance_mask in (False, True):
        mapper = KeypointMapper([], range(17), use_instance_mask=use_instance_mask)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            build_train_loader(dicts, mapper, total_batch_size=1)
        said = "1 of 2 people have no mask: they are left out" in caplog.text
        assert said == use_instance_mask
