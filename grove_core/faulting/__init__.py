"""Level 3: fault policies, one strategy a file, through the public hooks."""
