"""The same work done in other ways."""
