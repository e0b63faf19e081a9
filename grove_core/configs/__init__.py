"""Level 5: the configs of modules: what programs and a watched file say, and what holds."""
