"""Truncated SVD of a trained box head: what each rank costs, and the compressed model."""
