"""Scenarios of rollouts: the module versions that they bring, what these must compute, and what a run comes to."""
