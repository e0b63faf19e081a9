"""Level 3: the engine's end of a version."""
