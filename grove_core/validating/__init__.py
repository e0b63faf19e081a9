"""Level 3: whether what a version wrote may be committed."""
