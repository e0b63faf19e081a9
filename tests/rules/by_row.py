"""What a rule says of one row, in plain Python: read by Python's own parser, worked out value by value."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
RELATIONS = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True)
class Known:
    """A number, and between what integers the dtypes say it lies; None for a float."""

    value: int | float
    bounds: tuple[int, int] | None


def says(text: str, row: Mapping[str, Any], dtypes: Mapping[str, np.dtype[Any]]) -> bool:
    """Tell whether a rule is true of a row of numpy scalars."""
    return _truth(ast.parse(text, mode="eval").body, row, dtypes)


def _truth(node: ast.expr, row: Mapping[str, Any], dtypes: Mapping[str, np.dtype[Any]]) -> bool:
    match node:
        case ast.Constant(value=bool() as value):
            return value
        case ast.Name(id=name):
            return bool(row[name])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(operand, row, dtypes)
        case ast.BoolOp(op=op, values=values):
            return (all if isinstance(op, ast.And) else any)([_truth(each, row, dtypes) for each in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            operands = [left, *others]
            return all(
                _compared(op, one, other, row, dtypes)
                for op, one, other in zip(ops, operands, operands[1:], strict=False)
            )
    raise AssertionError(ast.dump(node))


def _compared(op: ast.cmpop, one: ast.expr, other: ast.expr, row: Any, dtypes: Any) -> bool:
    if isinstance(op, ast.In | ast.NotIn):
        assert isinstance(other, ast.List)
        found = any(_compared(ast.Eq(), one, each, row, dtypes) for each in other.elts)
        return found == isinstance(op, ast.In)
    if _is_truth(one, dtypes):
        return RELATIONS[type(op)](_truth(one, row, dtypes), _truth(other, row, dtypes))
    left, right = _number(one, row, dtypes), _number(other, row, dtypes)
    if (left.bounds is None) != (right.bounds is None):
        left, right = Known(float(left.value), None), Known(float(right.value), None)
    return RELATIONS[type(op)](left.value, right.value)


def _is_truth(node: ast.expr, dtypes: Mapping[str, np.dtype[Any]]) -> bool:
    match node:
        case ast.Constant(value=bool()) | ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Name(id=name):
            return dtypes[name].kind == "b"
    return False


def _number(node: ast.expr, row: Mapping[str, Any], dtypes: Mapping[str, np.dtype[Any]]) -> Known:
    match node:
        case ast.Constant(value=value):
            return _constant(value)
        case ast.Name(id=name) if dtypes[name].kind == "f":
            return Known(float(row[name]), None)
        case ast.Name(id=name):
            bounds = np.iinfo(dtypes[name])
            return Known(int(row[name]), (int(bounds.min), int(bounds.max)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _result(operator.neg, _number(operand, row, dtypes))
        case ast.Call(func=ast.Name(id="abs"), args=[operand]):
            return _result(abs, _number(operand, row, dtypes))
        case ast.BinOp(op=op, left=left, right=right):
            return _result(OPERATORS[type(op)], _number(left, row, dtypes), _number(right, row, dtypes))
    raise AssertionError(ast.dump(node))


def _constant(value: int | float) -> Known:
    if not math.isfinite(value):
        return Known(value, None)
    whole = int(value) == value and -(1 << 63) <= value < 1 << 64
    return Known(int(value), (int(value), int(value))) if whole else Known(float(value), None)


def _result(work: Any, *values: Known) -> Known:
    """Work in whole numbers where 64 bits hold every operand and every result that there can be, else in floats."""
    bounds = _reach(work, values)
    if bounds is not None:
        ends = [end for value in values for end in value.bounds or ()] + list(bounds)
        if any(low <= min(ends) and max(ends) < high for low, high in ((-(1 << 63), 1 << 63), (0, 1 << 64))):
            result = Known(work(*(value.value for value in values)), bounds)
            return _constant(result.value) if _fixed(values) else result
    if _fixed(values) and all(isinstance(value.value, int) for value in values) and work is not operator.truediv:
        return _constant(float(work(*(value.value for value in values))))
    result = Known(_in_floats(work, [float(value.value) for value in values]), None)
    return _constant(result.value) if _fixed(values) else result


def _fixed(values: tuple[Known, ...]) -> bool:
    """Constants are numbers of which nothing else is known but what they are."""
    return all(value.bounds is not None and value.bounds[0] == value.bounds[1] for value in values)


def _reach(work: Any, values: tuple[Known, ...]) -> tuple[int, int] | None:
    if any(value.bounds is None for value in values) or work is operator.truediv:
        return None
    if work is operator.mod:
        low, high = values[1].bounds or (0, 0)
        return (0, high - 1) if low > 0 else (low + 1, 0) if high < 0 else None
    corners = [work(*ends) for ends in _corners([value.bounds or (0, 0) for value in values])]
    if work is abs and (values[0].bounds or (1, 1))[0] <= 0 <= (values[0].bounds or (1, 1))[1]:
        corners.append(0)
    return min(corners), max(corners)


def _corners(bounds: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    if not bounds:
        return [()]
    return [(end, *rest) for end in bounds[0] for rest in _corners(bounds[1:])]


def _in_floats(work: Any, values: list[float]) -> float:
    try:
        return float(work(*values))
    except ZeroDivisionError:
        one, other = values
        if work is operator.mod or one == 0 or math.isnan(one):
            return math.nan
        return math.copysign(math.inf, one) * math.copysign(1, other)
