"""Which version an entity is in: the only code that changes it, and what says so."""
