"""A rule over columns whose dtypes are known: checked, and made of numpy calls over whole columns.

A value is what Python would read in the row: integers do not wrap, floats are 64 bits wide. Which of the two an
operation works in is settled by the dtypes, never by the values of a row or of its neighbours.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import Array
from grove_core.rules.reading import read
from grove_core.rules.tree import (
    Absolute,
    Among,
    Arithmetic,
    Compared,
    Every,
    Literal,
    Name,
    Negative,
    Node,
    Not,
    Relation,
    Sign,
    Some,
    Span,
    nearest,
)
from grove_core.rules.values import (
    REAL,
    Constant,
    Number,
    Run,
    Truth,
    absolute,
    calculated,
    constant,
    negative,
)

DTypes = Mapping[str, np.dtype[Any]]
Value = Truth | Number

COMPARE: Mapping[Relation, Callable[..., Any]] = {
    Relation.LESS: np.less,
    Relation.LESS_OR_EQUAL: np.less_equal,
    Relation.GREATER: np.greater,
    Relation.GREATER_OR_EQUAL: np.greater_equal,
    Relation.EQUAL: np.equal,
    Relation.NOT_EQUAL: np.not_equal,
}
PLAIN: Mapping[Relation, Callable[[Any, Any], bool]] = {
    Relation.LESS: operator.lt,
    Relation.LESS_OR_EQUAL: operator.le,
    Relation.GREATER: operator.gt,
    Relation.GREATER_OR_EQUAL: operator.ge,
    Relation.EQUAL: operator.eq,
    Relation.NOT_EQUAL: operator.ne,
}
MIRRORED = {
    Relation.LESS: Relation.GREATER,
    Relation.LESS_OR_EQUAL: Relation.GREATER_OR_EQUAL,
    Relation.GREATER: Relation.LESS,
    Relation.GREATER_OR_EQUAL: Relation.LESS_OR_EQUAL,
}
FEW = 8
"""So many elements of a list are compared one by one; of more, numpy makes a set."""


@dataclass(frozen=True)
class Rule:
    """What a rule is true of, for columns of certain dtypes.

    Use `Rule.of`.
    """

    text: str
    names: tuple[str, ...]
    """The columns it reads, in their order in the text, `id` among them where it is read."""
    _run: Run

    @classmethod
    def of(cls, text: str, dtypes: DTypes) -> Self:
        """Read a rule over columns of these dtypes (booleans, integers and floats of up to 8 bytes).

        Raises:
            InvalidRule: it cannot be read, names what is not there, or mixes conditions with numbers.
        """
        compiler = _Compiler(dtypes)
        truth = compiler.condition(read(text))
        return cls(text, tuple(compiler.names), truth.run)

    def holds(self, columns: Mapping[str, Array], rows: int) -> NDArray[np.bool_]:
        """Tell of which rows it is true, in an array of its own.

        Args:
            columns: at least those it reads, in the dtypes it was made for, of shape (rows,). Nothing is written.
            rows: how many.
        """
        with np.errstate(all="ignore"):
            true = self._run(columns)
        return true if isinstance(true, np.ndarray) else np.full(rows, true, np.bool_)


class _Compiler:
    """Turns a tree into runs, and notes what it reads."""

    def __init__(self, dtypes: DTypes) -> None:
        self.names: dict[str, None] = {}
        self._dtypes = dtypes

    def condition(self, node: Node) -> Truth:
        """Compile what must be true or false."""
        value = self._value(node)
        if isinstance(value, Number):
            what = f"{_shown(node)} is a number" if isinstance(node, Name | Literal) else "this is a number"
            raise node.span.error(f"{what}, where a condition is needed; compare it, such as {_shown(node)} != 0")
        return value

    def number(self, node: Node) -> Number:
        """Compile what must be a number."""
        value = self._value(node)
        if isinstance(value, Truth):
            what = f"{_shown(node)} is a boolean" if isinstance(node, Name | Literal) else "this is a condition"
            raise node.span.error(f"{what}, where a number is needed; write it by itself, or with `not`, `and`, `or`")
        return value

    def _value(self, node: Node) -> Value:
        match node:
            case Literal(_, bool() as truth):
                return Truth(lambda columns: truth)
            case Literal(_, number):
                return constant(number)
            case Name(span, name):
                return self._column(span, name)
            case Negative(_, operand):
                return negative(self.number(operand))
            case Absolute(_, operand):
                return absolute(self.number(operand))
            case Arithmetic(_, sign, left, right):
                return self._calculated(sign, left, right)
            case Compared(_, relation, left, right):
                return self._compared(relation, left, right)
            case Among(_, operand, elements):
                return self._among(operand, elements)
            case Not() | Every() | Some():
                return self._logic(node)

    def _logic(self, node: Not | Every | Some) -> Truth:
        match node:
            case Not(_, operand):
                return _combined(np.logical_not, [self.condition(operand)])
            case Every(_, parts):
                return _combined(np.logical_and, [self.condition(part) for part in parts])
            case Some(_, parts):
                return _combined(np.logical_or, [self.condition(part) for part in parts])

    def _column(self, span: Span, name: str) -> Value:
        dtype = self._dtypes.get(name)
        if dtype is None:
            known = sorted(self._dtypes)
            raise span.error(
                f"there is no column {name!r}{nearest(name, [*known, 'True', 'False'])}; there are {', '.join(known)}"
            )
        self.names[name] = None
        if dtype.kind == "b":
            # A byte that is neither 0 nor 1 is true too; what comes out has no others.
            return Truth(lambda columns: np.not_equal(columns[name].view(np.uint8), 0))
        return Number.column(name, dtype)

    def _calculated(self, sign: Sign, left: Node, right: Node) -> Number:
        one, other = self.number(left), self.number(right)
        if sign in (Sign.DIVIDE, Sign.REMAINDER) and other.constant == 0:
            raise right.span.error("nothing can be divided by 0")
        return calculated(sign, one, other)

    def _compared(self, relation: Relation, left: Node, right: Node) -> Truth:
        one, other = self._value(left), self._value(right)
        if isinstance(one, Truth) and isinstance(other, Truth):
            if relation not in (Relation.EQUAL, Relation.NOT_EQUAL):
                raise left.span.to(right.span).error(f"conditions have no order, so {relation.value} has no meaning")
            compare = COMPARE[relation]
            return Truth(lambda columns: compare(one.run(columns), other.run(columns)))
        if isinstance(one, Truth) or isinstance(other, Truth):
            boolean = left if isinstance(one, Truth) else right
            raise boolean.span.error(
                "a boolean is compared with a number here; write the boolean by itself, or with `not`"
            )
        return Truth(_comparison(relation, one, other))

    def _among(self, operand: Node, elements: Sequence[Node]) -> Truth:
        value = self.number(operand)
        numbers = []
        for element in elements:
            number = self.number(element).constant
            if number is None:
                raise element.span.error("a list holds numbers only; to compare with a column, write ==")
            numbers.append(number)
        if len(numbers) <= FEW or value.constant is not None:
            each = [_comparison(Relation.EQUAL, value, constant(number)) for number in numbers]
            return _combined(np.logical_or, [Truth(run) for run in each]) if each else Truth(lambda columns: False)
        return Truth(_in_list(value, numbers))


def _combined(combine: Callable[..., Any], parts: Sequence[Truth]) -> Truth:
    runs = [part.run for part in parts]
    if combine is np.logical_not:
        return Truth(lambda columns: combine(runs[0](columns)))

    def run(columns: Mapping[str, Array]) -> Any:
        true = runs[0](columns)
        for each in runs[1:]:  # an array is nobody else's
            true = combine(true, each(columns), out=true if isinstance(true, np.ndarray) else None)
        return true

    return Truth(run)


def _comparison(relation: Relation, one: Number, other: Number) -> Run:
    if one.constant is not None and other.constant is not None:
        answer = PLAIN[relation](one.constant, other.constant)
        return lambda columns: answer
    if one.constant is not None:
        return _comparison(MIRRORED.get(relation, relation), other, one)
    compare, first, second = COMPARE[relation], one.run, other.run
    if other.constant is None:
        # Where an integer meets a float, numpy takes both as float64; two integers it compares as they are.
        return lambda columns: compare(first(columns), second(columns))
    against = _held_against(one, other.constant)
    return lambda columns: compare(first(columns), against)


def _held_against(value: Number, number: Constant) -> Any:
    """Return a constant as a column is compared with it: in the column's dtype where nothing is lost by it."""
    if value.dtype.kind in "iu" and isinstance(number, int):
        return number  # numpy knows what is beyond the dtype
    with np.errstate(over="ignore"):
        narrow = value.dtype.type(number) if value.dtype.kind == "f" else np.float64(number)
    return narrow if float(narrow) == float(number) else np.float64(number)


def _in_list(value: Number, numbers: Sequence[Constant]) -> Run:
    run = value.run
    if value.dtype.kind == "f":
        floats = np.array(numbers, REAL)
        return lambda columns: np.isin(np.asarray(run(columns), REAL), floats)
    bounds = np.iinfo(value.dtype)
    wholes = [number for number in numbers if isinstance(number, int) and bounds.min <= number <= bounds.max]
    held = np.array(wholes, value.dtype)
    return lambda columns: np.isin(run(columns), held)


def _shown(node: Node) -> str:
    return f"`{node.span.text[node.span.start : node.span.stop]}`"
