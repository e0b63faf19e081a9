"""The engine's own copies of packages: what versions run from."""
