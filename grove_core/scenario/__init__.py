"""Level 7: whole runs that measure an engine against thresholds.

`coexistence` and what it is made of lie here; the others, in `reliability`, have files of their names. What all of them
share is in `common`.
"""
