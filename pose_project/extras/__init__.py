"""Everything beside the core: each folder is one thing, with its own page in docs."""
