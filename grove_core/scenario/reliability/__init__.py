"""Whole runs against faults, time and rewritten files; a scenario's file, or its first one, has its name."""
