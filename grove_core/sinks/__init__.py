"""Level 3: where events and samples go, a sink a file, and how recorded ones are read."""
