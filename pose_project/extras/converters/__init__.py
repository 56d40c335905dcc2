"""Keypoint datasets from and into other formats."""
