"""How often rules that judge a canary are wrong, and how soon they see that one is bad: simulated, not in an engine."""
