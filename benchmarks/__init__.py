"""What Grove costs, beside memcpy, numpy by hand, plain Python and Erlang: `python -m benchmarks --help`."""
