"""LazyConfigs: read, checked and built; and the schedules they name."""
