"""Level 2: columns in shared memory."""
