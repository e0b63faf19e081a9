"""Level 3: judges, one strategy a file, and the intervals that tables of a comparison show."""
