"""Level 8: the command line."""
