"""What is wrong with a keypoint dataset, why it matters, and a corrected copy."""
