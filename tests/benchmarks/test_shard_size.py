"""The benchmark of shards measures what it says, at a size that takes no time."""

from benchmarks.shard_size import measure_shards


def test_every_photo_is_written_found_and_read(tmp_path):
    """It raises where a photo read is not the photo written, or a file is missing."""
    record = dict(measure_shards(tmp_path, 60))
    assert record["shards"] == 1 and record["written_mb"] > 0.1
    assert record["index_mb"] < 0.01
    assert all(value >= 0 for value in record.values())
