"""Hooks of the training loop that are off unless a setting asks for them; docs/training.md."""
