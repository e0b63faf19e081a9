"""Level 3: lenses carried out on columns, and the way from one version's schema to another's."""
