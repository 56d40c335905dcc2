"""An environment with everything in it, made by one command; docs/install.md."""
