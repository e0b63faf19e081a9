"""Level 7: whole runs that measure an engine against thresholds."""
