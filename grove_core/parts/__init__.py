"""Level 1: promises, hooks, and how a part is found and chosen."""
