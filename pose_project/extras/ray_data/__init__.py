"""Prediction on the machines of a Ray cluster."""
