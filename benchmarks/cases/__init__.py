"""What is measured, a theme a file; docs/benchmarks.md says what each case means."""
