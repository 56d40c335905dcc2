import pytest

from pose_project.extras.stall_watch.hook import Heartbeat, find_stall


def heartbeat(rank: int, still: float, waiting: bool = True) -> Heartbeat:
    return Heartbeat(f"host, pid {rank}", 7, still, 12, "data/mapper.py:74 _read_photo", waiting)


def test_a_process_that_works_while_the_others_wait_is_named():
    heartbeats = [heartbeat(0, 31), heartbeat(1, 30, waiting=False), heartbeat(2, 31)]
    message = find_stall(heartbeats, [0, 0, 0], timeout=30)
    assert "process 1 (host, pid 1) hangs in iteration 12 at data/mapper.py:74" in message
    assert "process 0" not in message
    assert "process 2" not in message


def test_a_process_that_no_longer_reports_is_named_first():
    heartbeats = [heartbeat(0, 45), heartbeat(1, 0, waiting=False), heartbeat(2, 45, waiting=False)]
    message = find_stall(heartbeats, [0, 31, 0], timeout=30)
    assert "process 1 (host, pid 1) does not answer" in message
    assert "process 2" not in message


def test_all_are_named_when_each_waits():
    message = find_stall([heartbeat(0, 31), heartbeat(1, 31)], [0, 0], timeout=30)
    assert "process 0" in message
    assert "process 1" in message


@pytest.mark.parametrize("still", [[31, 5], [0, 0], [31, 29.9]])
def test_nobody_is_named_while_anybody_moves(still):
    """A long evaluation in one process is not a stall of those that wait for it."""
    heartbeats = [heartbeat(rank, seconds) for rank, seconds in enumerate(still)]
    assert find_stall(heartbeats, [0, 0], timeout=30) is None
