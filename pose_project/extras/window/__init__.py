"""A window that shows what is drawn: --show of the command predict."""
