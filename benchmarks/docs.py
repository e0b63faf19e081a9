"""The results in a document: between two markers, and replaced by each run that is told to."""

from __future__ import annotations

from benchmarks.figures import Results
from benchmarks.tables import tables

BEGIN = "<!-- results: written by `python -m benchmarks run --docs FILE` -->"
END = "<!-- end of the results -->"


def with_results(text: str, results: Results) -> str:
    """Return a document with these results between its markers.

    Raises:
        ValueError: it has not both markers, once and in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise ValueError(f"it needs the lines {BEGIN!r} and {END!r}, once each")
    return f"{before}{BEGIN}\n\n{block(results)}\n{END}{after}"


def block(results: Results) -> str:
    """Return the results as Markdown."""
    facts = results.machine
    machine = (
        f"{facts.cpu}, {facts.cores} cores, {facts.memory_gib:g} GiB; {facts.system}, Python {facts.python}, "
        f"numpy {facts.numpy}, numba {facts.numba or 'not installed'}, Erlang/OTP {facts.erlang or 'not installed'}; "
        f"grove-core {facts.grove}. Up to {results.box_seconds:g} s a case and population."
    )
    absent = [f"Not measured: {reason}." for reason in results.absent]
    return "\n\n".join([machine, *absent, *(table.markdown() for table in tables(results))]) + "\n"
