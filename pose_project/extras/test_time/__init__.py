"""Several views of a photo, and one pose a person; docs/test_time.md."""
