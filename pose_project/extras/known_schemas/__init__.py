"""The keypoints of published datasets, whose files often do not list them."""
