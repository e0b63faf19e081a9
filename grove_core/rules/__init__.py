"""Rules over columns: read, never run as code."""
