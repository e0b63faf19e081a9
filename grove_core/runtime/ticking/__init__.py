"""A tick, and what is recovered from when one fails."""
