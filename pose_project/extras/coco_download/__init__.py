"""COCO 2017, fetched, unpacked and checked."""
