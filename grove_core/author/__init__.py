"""Level 1: all that an author, and a worker, imports. Only numpy and msgspec stand behind it."""
