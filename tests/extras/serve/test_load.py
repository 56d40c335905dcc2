"""Many clients at once: none gets an error or another's answer, and memory stays where it is."""

import threading

import numpy as np
import pytest
from helpers.load_client import put_under_load
from helpers.server import photo_bytes

pytestmark = pytest.mark.integration


def test_32_clients(server):
    photo = photo_bytes(0)
    put_under_load(server.port, photo, 6)  # allocators and threads have what they need
    before, after = server.rss_mb(), []
    for _ in range(4):
        seconds, codes = put_under_load(server.port, photo, 3)
        assert len(codes) > 10 and set(codes) == {200}
        assert seconds[-1] < 30
        after.append(server.rss_mb())
    # what allocators keep comes and goes, 80 MB within minutes; what leaks only grows
    assert min(after[1:]) - before < 100, after


def test_everyone_gets_the_poses_of_their_own_photo_under_load(server):
    photos = [photo_bytes(seed) for seed in range(6)]
    alone = [server.poses(photo)[1]["people"] for photo in photos]
    found = {}

    def ask(number: int) -> None:
        found[number] = server.poses(photos[number % 6])[1]["people"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(30):
        boxes = [each["box"] for each in found[number]]
        np.testing.assert_allclose(boxes, [each["box"] for each in alone[number % 6]], atol=0.1)
