"""What a death means where columns are fenced: see `worker.fence`."""

from __future__ import annotations

from dataclasses import replace

from grove_core.base.records import FaultKind
from grove_core.runtime.orders.asks import Problem
from grove_core.runtime.state.state import LoadedVersion

FATAL = "Fatal Python error: Segmentation fault"
"""How the trace begins that Python prints as it dies of SIGSEGV."""
HELP = (
    "its columns are fenced, and a view of them that was kept from an earlier tick ends it like this: views are valid "
    "in their own process(dt) only; copy what is to be kept"
)


def explained(loaded: LoadedVersion, problem: Problem) -> Problem:
    """Return a problem with its likely cause and the place in the version's code, if the fence may be behind it."""
    worker = loaded.worker
    if problem.kind is not FaultKind.DEATH or worker is None:
        return problem
    _, fatal, trace = loaded.last_words.rpartition(FATAL)
    if not fatal and "SIGSEGV" not in worker.how_it_ended():
        return problem
    return replace(problem, message=f"{problem.message}; {HELP}", traceback=f"{fatal}{trace}" or problem.traceback)
