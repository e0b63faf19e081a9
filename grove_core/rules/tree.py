"""What a rule says, as it is read: nothing is known of columns yet."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING

from grove_core.base.errors import InvalidRule

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 60
"""How many characters an error shows before and after what it is about."""


class Sign(Enum):
    """The operators of arithmetic."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    REMAINDER = "%"


class Relation(Enum):
    """How two values are compared."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    EQUAL = "=="
    NOT_EQUAL = "!="


@dataclass(frozen=True)
class Span:
    """Where something stands in the text of a rule: from `start` up to `stop`."""

    text: str
    start: int
    stop: int

    def to(self, other: Span) -> Span:
        """Return what reaches from here to the end of another."""
        return Span(self.text, self.start, other.stop)

    def error(self, message: str) -> InvalidRule:
        """Return the error that says what is wrong here, shows it, and marks it."""
        stop = min(max(self.stop, self.start + 1), self.start + WINDOW)
        first, last = max(0, self.start - WINDOW), min(len(self.text), stop + WINDOW)
        before, after = "..." if first else "", "..." if last < len(self.text) else ""
        line = "".join(character if character.isprintable() else " " for character in self.text[first:last])
        return InvalidRule(
            f"{message} (at character {self.start + 1} of the rule)\n"
            f"    {before}{line}{after}\n"
            f"    {' ' * (len(before) + self.start - first)}{'^' * (stop - self.start)}"
        )


@dataclass(frozen=True)
class Literal:
    """A number, True or False."""

    span: Span
    value: bool | int | float


@dataclass(frozen=True)
class Name:
    """A column, or `id`."""

    span: Span
    name: str


@dataclass(frozen=True)
class Negative:
    """-operand"""

    span: Span
    operand: Node


@dataclass(frozen=True)
class Absolute:
    """abs(operand)"""

    span: Span
    operand: Node


@dataclass(frozen=True)
class Arithmetic:
    """left sign right"""

    span: Span
    sign: Sign
    left: Node
    right: Node


@dataclass(frozen=True)
class Compared:
    """left relation right"""

    span: Span
    relation: Relation
    left: Node
    right: Node


@dataclass(frozen=True)
class Among:
    """operand in [elements]"""

    span: Span
    operand: Node
    elements: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """not operand"""

    span: Span
    operand: Node


@dataclass(frozen=True)
class Every:
    """All of the parts."""

    span: Span
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Some:
    """At least one of the parts."""

    span: Span
    parts: tuple[Node, ...]


Node = Literal | Name | Negative | Absolute | Arithmetic | Compared | Among | Not | Every | Some


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a hint at the known name that is most like this one; empty where none is."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, 1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
