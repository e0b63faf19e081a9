"""How a suite is run over a part that is broken on purpose."""

from __future__ import annotations

from typing import Any

import pytest


def caught(suite: type[Any], make: Any, test: str, why: str, *given: Any) -> None:
    """Have one test of a suite fail, for the reason `why` (a regular expression), over what `make` makes."""
    broken = type("Broken", (suite,), {"make": make})()
    with pytest.raises((Exception, pytest.fail.Exception), match=why):
        getattr(broken, test)(*given)


def promises_of(suite: type[Any]) -> set[str]:
    """Return the names of a suite's tests: each is a promise, and needs something broken that it catches."""
    return {name for name in dir(suite) if name.startswith("test_")}
