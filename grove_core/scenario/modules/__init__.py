"""Scenarios of several modules, their config, their dependencies, their limits, their code."""
