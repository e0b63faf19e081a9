"""What the scenarios share: verdicts, text, the command line, a population with its reference, what is left over."""
