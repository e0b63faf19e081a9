"""Level 3: collection policies and holds, one strategy a file, through the public hooks."""
