"""Level 2: both ends of the wire between the engine and a worker."""
