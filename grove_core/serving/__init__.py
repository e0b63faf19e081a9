"""Level 7: an engine that runs by itself: `grove run`."""
