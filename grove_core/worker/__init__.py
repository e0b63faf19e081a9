"""Level 3: the version's end."""
