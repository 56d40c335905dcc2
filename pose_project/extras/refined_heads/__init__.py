"""Keypoint heads and losses beyond the published ones, each a switch; docs/refined.md."""
