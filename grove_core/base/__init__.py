"""Level 0: frozen words and reports; the error tree."""
