"""Level 5: rollouts: a canary is ramped, watched, promoted, or rolled back by itself."""
