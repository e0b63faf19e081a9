"""The language of rules: what it reads, what it refuses and how it says so, and what it is worth row by row."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grove_core.base.errors import InvalidRule
from grove_core.rules.reading import DEEPEST, LONGEST, MOST_SIGNS
from grove_core.rules.rule import FEW, Rule

from .by_row import says

DTYPES: dict[str, np.dtype[Any]] = {
    "id": np.dtype("i8"),
    "x": np.dtype("f4"),
    "y": np.dtype("f8"),
    "half": np.dtype("f2"),
    "guild": np.dtype("i8"),
    "hash": np.dtype("u8"),
    "level": np.dtype("u1"),
    "tag": np.dtype("i1"),
    "count": np.dtype("i4"),
    "alive": np.dtype("?"),
    "hidden": np.dtype("?"),
}


def columns(**values: Any) -> dict[str, Any]:
    rows = len(next(iter(values.values())))
    return {name: np.array(values.get(name, np.zeros(rows)), dtype) for name, dtype in DTYPES.items()}


def true_of(text: str, **values: Any) -> list[bool]:
    given = columns(**values)
    return Rule.of(text, DTYPES).holds(given, len(given["id"])).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x > 900 and guild == 7", [False, False, True]),
        ("x > 900 or guild == 7", [True, False, True]),
        ("not x > 900", [True, True, False]),
        ("not alive", [False, True, False]),
        ("alive and not (x > 900)", [True, False, False]),
        ("alive == hidden", [False, True, True]),
        ("alive != False", [True, False, True]),
        ("10 <= x < 1e3", [True, True, True]),
        ("0 < x < 20", [True, False, False]),
        ("guild in [7, 8]", [True, False, True]),
        ("guild not in [7, 8]", [False, True, False]),
        ("guild in []", [False, False, False]),
        ("-guild + 2 * 3 == -1", [True, False, True]),
        ("(guild + 2) * 3 == 27", [True, False, True]),
        ("x / 2 == 5", [True, False, False]),
        ("guild % 4 == 3", [True, False, True]),
        ("abs(guild - 8) <= 1", [True, False, True]),
        ("id == 2", [False, True, False]),
        ("True", [True, True, True]),
        ("1 > 2 or alive", [True, False, True]),
    ],
)
def test_what_it_says(text: str, expected: list[bool]) -> None:
    rows = {"id": [1, 2, 3], "x": [10, 20.5, 950], "guild": [7, 5, 7], "alive": [1, 0, 1], "hidden": [0, 0, 1]}
    assert true_of(text, **rows) == expected


def test_it_tells_what_it_reads() -> None:
    assert Rule.of("guild == 7 and x > 900 and guild != id", DTYPES).names == ("guild", "x", "id")


@pytest.mark.parametrize(
    ("text", "words", "mark"),
    [
        ("x > 900 and guidl == 7", ["no column 'guidl'", "did you mean 'guild'", "alive, count, guild"], "guidl"),
        ("X > 900", ["did you mean 'x'"], "X"),
        ("true", ["did you mean 'True'"], "true"),
        ("x = 5", ["'=' has no meaning", "write =="], "="),
        ("x > 5 && alive", ["write `and`"], "&"),
        ("x > 5 | alive", ["write `or`"], "|"),
        ("!alive", ["write `not`"], "!"),
        ("guild == 'red'", ["never texts"], "'"),
        ("e.x > 5", ["by their names alone"], "."),
        ("x", ["`x` is a number", "`x` != 0"], "x"),
        ("x and alive", ["a condition is needed"], "x"),
        ("x > 5 + alive", ["`alive` is a boolean", "a number is needed"], "alive"),
        ("alive == 1", ["a boolean is compared with a number"], "alive"),
        ("alive < hidden", ["no order"], "alive < hidden"),
        ("alive in [1]", ["`alive` is a boolean"], "alive"),
        ("x in 5", ["'[' is missing here, not '5'"], "5"),
        ("x in [1, y]", ["numbers only"], "y"),
        ("x in [1 2]", ["',' is missing here, not '2'"], "2"),
        ("x not 5", ["'in' is missing here"], "5"),
        ("(x > 5", ["')' is missing here", "needs its )"], ""),
        ("x > 5)", ["could end before ')'"], ")"),
        ("x > 5 AND alive", ["write and"], "AND"),
        ("x > 5 alive", ["join conditions"], "alive"),
        ("x is 5", ["write =="], "is"),
        ("x >", ["a column or a number is missing here"], ""),
        ("x > and", ["missing here, not 'and'"], "and"),
        ("x > +5", ["missing here, not '+'"], "+"),
        ("x ** 2 > 4", ["no ** in a rule"], "*"),
        ("guild // 2 > 4", ["no // in a rule"], "/"),
        ("min(x) > 5", ["no function min()", "the only one is abs()"], "min"),
        ("Abs(x) > 5", ["did you mean 'abs'"], "Abs"),
        ("x > 007", ["'007' is no number"], "007"),
        ("x > 5x", ["'5x' is no number"], "5x"),
        ("x > 1__0", ["'1__0' is no number"], "1__0"),
        ("x > 1e999", ["larger than any number"], "1e999"),
        (f"x > {'9' * 400}", ["larger than any number"], None),
        ("x / 0 > 1", ["divided by 0"], "0"),
        ("guild % (3 - 3) > 1", ["divided by 0"], "(3 - 3)"),
        ("  ", ["the rule is empty"], ""),
        ("(" * (DEEPEST + 1) + "alive" + ")" * (DEEPEST + 1), ["deeper than 50 levels"], "("),
        ("not " * (DEEPEST + 1) + "alive", ["deeper than 50 levels"], "not"),
        ("x > 1" + "+1" * (MOST_SIGNS + 1), ["more than 100 operators"], "+"),
    ],
)
def test_what_is_wrong_is_told_and_shown(text: str, words: list[str], mark: str | None) -> None:
    with pytest.raises(InvalidRule) as caught:
        Rule.of(text, DTYPES)
    told, line, marks = str(caught.value).split("\n")
    assert [word for word in words if word not in told] == [], told
    found = re.search(r"\(at character (\d+) of the rule\)$", told)
    assert found is not None
    place = int(found.group(1)) - 1
    assert mark is None or text[place:].startswith(mark.strip("()")) or text[place - 1 :].startswith(mark)
    first = marks.index("^") if "^" in marks else 0
    assert line[first:].startswith(text[place : place + marks.count("^")].rstrip()), "the mark stands below it"


def test_a_rule_is_a_text_of_bounded_length() -> None:
    with pytest.raises(InvalidRule, match="not 5"):
        Rule.of(5, DTYPES)  # type: ignore[arg-type]
    assert Rule.of("alive" + " " * (LONGEST - 5), DTYPES).names == ("alive",)
    with pytest.raises(InvalidRule, match=f"{LONGEST + 1} characters"):
        Rule.of("alive" + " " * (LONGEST - 4), DTYPES)


def test_a_far_away_mistake_is_shown_with_its_surroundings() -> None:
    text = "alive and " * 30 + "wrong" + " and alive" * 30
    with pytest.raises(InvalidRule) as caught:
        Rule.of(text, DTYPES)
    _, line, marks = str(caught.value).split("\n")
    assert len(line) < 150
    assert line.strip().startswith("...") and line.endswith("...")
    assert line[marks.index("^") : marks.index("^") + 5] == "wrong"


def test_the_guide_shows_what_is_told() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)\n```$", guide, re.DOTALL | re.MULTILINE)
    (shown,) = [block for block in blocks if "guidl" in block]
    dtypes = {name: DTYPES[name] for name in ("id", "x", "y", "guild")}
    with pytest.raises(InvalidRule) as caught:
        Rule.of("x > 900 and guidl == 7", dtypes)
    caught.value.module, caught.value.version = "gamelogic", "2.0.0"
    assert str(caught.value) == shown


def test_integers_do_not_wrap_and_floats_are_wide() -> None:
    highest = (1 << 63) - 1
    assert true_of("tag + 100 > 127", tag=[100, 20]) == [True, False], "an int8 goes on in 64 bits"
    assert true_of("guild + 1 > 0", guild=[highest, -5]) == [True, False], "beyond 64 bits it is a float"
    assert true_of("guild * guild > 1e37", guild=[highest, 5]) == [True, False]
    assert true_of("hash - 1 < 0", hash=[0, 1]) == [True, False], "what is unsigned has something below 0 too"
    assert true_of("hash % 10 == 5", hash=[(1 << 64) - 1, 1]) == [True, False], "a remainder is exact"
    assert true_of("guild < hash", guild=[-1, 5], hash=[(1 << 64) - 1, 4]) == [True, False]
    assert true_of("tag < 1000 and level > -1", tag=[100, -128], level=[0, 255]) == [True, True]
    assert true_of("guild == 9007199254740993", guild=[9007199254740993, 9007199254740992]) == [True, False]
    assert true_of("x > 0.1", x=[0.1, 0.0999999]) == [True, False], "a float32 is what it is, which is more than 0.1"
    assert true_of("x * 1e30 * 1e30 > 1e50", x=[1, 0]) == [True, False]


def test_what_is_no_number_compares_false() -> None:
    rows = {"x": [np.nan, 1], "y": [0, 1], "level": [0, 2], "guild": [5, 5]}
    assert true_of("x < 5", **rows) == [False, True]
    assert true_of("x == x", **rows) == [False, True]
    assert true_of("x != x", **rows) == [True, False], "as everywhere"
    assert true_of("x in [1, 2]", **rows) == [False, True]
    assert true_of("guild / y > 100", **rows) == [True, False], "by 0 it is infinite"
    assert true_of("y / y >= 0", **rows) == [False, True]
    assert true_of("guild % level >= 0", **rows) == [False, True], "there is no remainder by 0"


def test_a_boolean_that_is_another_byte_is_true() -> None:
    raw = np.array([0, 1, 2, 255], np.uint8).view(np.bool_)
    held = Rule.of("alive", {"alive": raw.dtype}).holds({"alive": raw}, 4)
    assert held.view(np.uint8).tolist() == [0, 1, 1, 1]


def test_nothing_is_written() -> None:
    rows = columns(x=[1, 2], guild=[3, 4], alive=[1, 0])
    for values in rows.values():
        values.flags.writeable = False
    assert Rule.of("alive or -x * 2 < guild and abs(x) in [1, 2]", DTYPES).holds(rows, 2).all()


NUMBERS = [name for name, dtype in DTYPES.items() if dtype.kind != "b"]
LITERALS = st.one_of(
    st.integers(0, 300).map(str),
    st.sampled_from([0, 1, 127, 128, 255, 1 << 31, 1 << 53, (1 << 53) + 1, 1 << 62, 1 << 63, 1 << 64, 10**30]).map(str),
    st.floats(0, allow_infinity=False, allow_nan=False).map(repr),
    st.sampled_from(["0.1", "1e6", "2.5", "1_000", ".5", "5.", "1e308"]),
)
VALUES = st.recursive(
    st.sampled_from(NUMBERS) | LITERALS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(" ".join),
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda value: f"-{value}"),
        inner.map(lambda value: f"abs({value})"),
    ),
    max_leaves=5,
)
RELATION = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
LISTS = st.lists(LITERALS | LITERALS.map(lambda value: f"-{value}"), max_size=FEW + 4).map(
    lambda values: f"[{', '.join(values)}]"
)
RULES = st.recursive(
    st.one_of(
        st.sampled_from(["alive", "hidden", "True", "False", "alive == hidden", "alive != True"]),
        st.tuples(VALUES, RELATION, VALUES).map(" ".join),
        st.tuples(VALUES, RELATION, VALUES, RELATION, VALUES).map(" ".join),
        st.tuples(VALUES, st.sampled_from(["in", "not in"]), LISTS).map(" ".join),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda rule: f"not {rule}"),
        inner.map(lambda rule: f"({rule})"),
    ),
    max_leaves=4,
)


@st.composite
def rows_of_everything(draw: st.DrawFn) -> dict[str, Any]:
    def values(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
        if dtype.kind == "b":
            return st.booleans()
        if dtype.kind == "f":
            return st.sampled_from([0.0, -0.0, 0.5, 900.0, np.nan, np.inf]) | st.floats(width=8 * dtype.itemsize)
        bounds = np.iinfo(dtype)
        ends = st.sampled_from([int(bounds.min), int(bounds.min) + 1, int(bounds.max) - 1, int(bounds.max)])
        near = st.integers(max(-10, int(bounds.min)), 10)
        return ends | near | st.integers(int(bounds.min), int(bounds.max))

    return {name: np.array([draw(values(dtype)) for _ in range(3)], dtype) for name, dtype in DTYPES.items()}


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(RULES, rows_of_everything())
def test_it_says_what_plain_python_says_of_each_row(text: str, rows: dict[str, Any]) -> None:
    try:
        rule = Rule.of(text, DTYPES)
    except InvalidRule as error:
        assert "divided by 0" in str(error) or "characters" in str(error) or "deeper" in str(error)
        return
    told = rule.holds(rows, 3)
    assert (told.dtype, told.shape) == (np.bool_, (3,))
    with np.errstate(all="ignore"):
        each = [says(text, {name: values[row] for name, values in rows.items()}, DTYPES) for row in range(3)]
    assert told.tolist() == each


WORDS = ["x", "guild", "alive", "and", "or", "not", "in", "True", "abs", "(", ")", "[", "]", ",", "<", ">=", "==", "="]
PIECES = st.sampled_from([*WORDS, "+", "-", "*", "/", "%", "1", "0", "2.5", "1e3", ".", "is", "lambda", "'", "\n", "é"])


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60)
    | st.lists(PIECES, max_size=25).map(" ".join)
    | st.lists(PIECES, max_size=12).map("".join)
    | st.text(max_size=LONGEST + 5, alphabet="(-+x1> not")
)
def test_anything_is_a_rule_or_refused_with_its_place(text: str) -> None:
    try:
        rule = Rule.of(text, DTYPES)
    except InvalidRule as error:
        assert re.search(r"\(at character \d+ of the rule\)\n|it may have 1000 at most", str(error))
        return
    assert rule.holds(columns(x=[1.0, np.nan]), 2).shape == (2,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(re.sub(r"\s", " ", text).strip(), mode="eval")  # what is a rule is an expression of Python
