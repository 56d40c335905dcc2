"""Trained models for programs that have neither Detectron2 nor, with ONNX, torch."""
