"""Level 3: routers, one strategy a file, through the public hooks."""
