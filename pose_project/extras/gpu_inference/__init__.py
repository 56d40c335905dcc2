"""The same people on a GPU, found without waiting for it; with CUDA graphs."""
