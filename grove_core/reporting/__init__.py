"""Level 7: what a sink wrote down of a module's rollouts, as a page to read."""
