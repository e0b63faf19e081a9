"""Level 4: one module's live state, and one verb a file."""
