"""Errors, files and provenance; imports nothing of this package."""
