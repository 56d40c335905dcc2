"""Photos of synthetic people with exact keypoints, made without a download."""
