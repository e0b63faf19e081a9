"""The error tree that is drawn is the one there is."""

from __future__ import annotations

import inspect
import re

import grove_core
from grove_core.base import errors
from grove_core.base.errors import GroveError


def drawn() -> dict[str, str | None]:
    """Return class -> parent, as the docstring of errors.py draws it."""
    parents: dict[str, str | None] = {}
    branch: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"([ │├└─]*)([A-Z]\w+)( {2,}.*)?", line)
        if not match:
            continue
        depth, name = len(match[1]), match[2]
        branch = [(each, parent) for each, parent in branch if each < depth]
        parents[name] = branch[-1][1] if branch else None
        branch.append((depth, name))
    return parents


def test_the_tree_drawn_is_the_tree_there_is() -> None:
    classes = {
        name: each
        for name, each in vars(errors).items()
        if inspect.isclass(each) and each.__module__ == errors.__name__
    }
    real = {
        name: None if each is GroveError else next(base.__name__ for base in each.__bases__)
        for name, each in classes.items()
    }
    assert drawn() == real
    assert len(real) > 20


def test_every_error_but_the_root_has_one_parent_and_says_what_it_is() -> None:
    for name in drawn():
        each = getattr(errors, name)
        assert len(each.__bases__) == 1
        assert each.__doc__


def test_where_stands_before_the_message() -> None:
    assert str(GroveError("no")) == "no"
    assert str(GroveError("no", module="ledger")) == "ledger: no"
    assert str(GroveError("no", module="ledger", version=2)) == "ledger@2: no"
    assert str(GroveError("no", plugin="dist:name")) == "plugin dist:name: no"
    assert str(GroveError("no", module="ledger", plugin="dist:name")) == "ledger plugin dist:name: no"


def test_the_root_is_exported() -> None:
    assert grove_core.GroveError is GroveError
