"""How code becomes a loaded version, is changed, and given another config."""
