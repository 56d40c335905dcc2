"""Evaluation that explains: what is wrong with which keypoints, and what it costs."""
