"""The same model, faster on a CPU."""
