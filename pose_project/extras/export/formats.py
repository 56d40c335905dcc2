"""The formats that a model is exported to."""

FILES = {"onnx": "model.onnx", "torchscript": "model.ts"}
"""Format -> name of the file; beside it lies ``model.json``."""
