"""Processes that wait for one that hangs are ended, and the one is named."""
