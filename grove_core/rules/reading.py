"""Reading a rule: its text becomes a tree. A parser of our own; nothing of a rule is ever run as Python.

The language is the part of Python's expressions that its precedence is: or, and, not, comparisons (chained too) and
in, + and -, * and / and %, unary -, abs(), parentheses.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from grove_core.base.errors import InvalidRule
from grove_core.base.showing import brief
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

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1000
"""The most characters of a rule."""
DEEPEST = 50
"""The most parentheses, `not` and signs within each other."""
MOST_SIGNS = 100
"""The most operators of arithmetic in a rule."""

TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<mark><=|>=|==|!=|[-+*/%<>(),\[\]])"
)
DIGITS = "[0-9](?:_?[0-9])*"
WRITTEN = re.compile(
    "0|[1-9](?:_?[0-9])*"
    rf"|(?:{DIGITS}\.(?:{DIGITS})?|\.{DIGITS})(?:[eE][+-]?{DIGITS})?"
    rf"|{DIGITS}[eE][+-]?{DIGITS}"
)
"""A number as Python writes it."""
WORDS = frozenset({"and", "or", "not", "in", "True", "False"})
RELATIONS = {relation.value: relation for relation in Relation}
SIGNS = {sign.value: sign for sign in Sign}
SUMS, PRODUCTS = ("+", "-"), ("*", "/", "%")
HINTS = {
    "=": "to compare, write ==",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or != to compare",
    "'": "columns hold numbers and booleans, never texts; compare with a number",
    '"': "columns hold numbers and booleans, never texts; compare with a number",
    ".": "a rule reads the columns of one entity by their names alone",
}
"""What to do about characters that other languages have."""
ELSEWHERE = {"true": "True", "false": "False", "AND": "and", "OR": "or", "NOT": "not", "IN": "in", "is": "=="}
"""What words of other languages are here, where no column is called so."""


class _Kind(Enum):
    NUMBER = "number"
    WORD = "word"
    MARK = "mark"
    END = "end"


@dataclass(frozen=True)
class _Token:
    kind: _Kind
    text: str
    span: Span


def read(text: str) -> Node:
    """Read a rule.

    Raises:
        InvalidRule: it is no rule; it says where and what to do.
    """
    if not isinstance(text, str):
        raise InvalidRule(f"a rule is a text such as 'x > 900 and guild == 7', not {brief(text)}")
    if len(text) > LONGEST:
        raise InvalidRule(f"the rule has {len(text)} characters; it may have {LONGEST} at most")
    return _Parser(text).whole()


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        here = Span(text, place, place + 1 if found is None else found.end())
        if found is None:
            hint = HINTS.get(text[place], "a rule has names of columns, numbers, comparisons, and, or, not, in")
            raise here.error(f"{text[place]!r} has no meaning in a rule; {hint}")
        place = found.end()
        if found.lastgroup != "space":
            yield _Token(_Kind(found.lastgroup), found.group(), here)
    yield _Token(_Kind.END, "", Span(text, len(text), len(text)))


class _Parser:
    """One pass over the tokens, one method for each level of precedence."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._depth = 0
        self._signs = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def _at(self, *texts: str) -> bool:
        token = self._next
        return token.kind in (_Kind.MARK, _Kind.WORD) and token.text in texts

    def _expect(self, text: str, why: str) -> _Token:
        if not self._at(text):
            raise self._next.span.error(f"{text!r} is missing here{self._instead()}; {why}")
        return self._take()

    def _instead(self) -> str:
        return "" if self._next.kind is _Kind.END else f", not {self._next.text!r}"

    def whole(self) -> Node:
        """Read all of it."""
        if self._next.kind is _Kind.END:
            raise self._next.span.error("the rule is empty; write a condition such as 'x > 900 and guild == 7'")
        node = self._some()
        token = self._next
        if token.kind is not _Kind.END:
            here = ELSEWHERE.get(token.text)
            hint = f"write {here}" if here else "join conditions by `and` or `or`"
            raise token.span.error(f"the rule could end before {token.text!r}; {hint}")
        return node

    def _some(self) -> Node:
        parts = [self._every()]
        while self._at("or"):
            self._take()
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Some(parts[0].span.to(parts[-1].span), tuple(parts))

    def _every(self) -> Node:
        parts = [self._not()]
        while self._at("and"):
            self._take()
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else Every(parts[0].span.to(parts[-1].span), tuple(parts))

    def _not(self) -> Node:
        if not self._at("not"):
            return self._comparison()
        word = self._deeper()
        operand = self._not()
        self._depth -= 1
        return Not(word.span.to(operand.span), operand)

    def _comparison(self) -> Node:
        left = self._sum()
        parts: list[Node] = []
        while self._at(*RELATIONS):
            relation = RELATIONS[self._take().text]
            right = self._sum()
            parts.append(Compared(left.span.to(right.span), relation, left, right))
            left = right
        if self._at("in", "not"):
            parts.append(self._among(left))
        if not parts:
            return left
        return parts[0] if len(parts) == 1 else Every(parts[0].span.to(parts[-1].span), tuple(parts))

    def _among(self, operand: Node) -> Node:
        negated = self._at("not")
        if negated:
            self._take()
        self._expect("in", "after a value `not` is followed by `in`")
        self._expect("[", "what follows `in` is a list of numbers, such as [1, 2, 3]")
        elements = []
        while not self._at("]"):
            elements.append(self._sum())
            if not self._at("]"):
                self._expect(",", "a list of numbers looks like [1, 2, 3]")
        end = self._take()
        among = Among(operand.span.to(end.span), operand, tuple(elements))
        return Not(among.span, among) if negated else among

    def _sum(self) -> Node:
        node = self._product()
        while self._at(*SUMS):
            node = self._joined(node, self._sign(), self._product())
        return node

    def _product(self) -> Node:
        node = self._signed()
        while self._at(*PRODUCTS):
            node = self._joined(node, self._sign(), self._signed())
        return node

    def _sign(self) -> Sign:
        token = self._take()
        self._signs += 1
        if self._signs > MOST_SIGNS:
            raise token.span.error(f"the rule has more than {MOST_SIGNS} operators of arithmetic")
        if self._at(token.text) and token.text in ("*", "/"):
            raise self._next.span.error(f"there is no {token.text * 2} in a rule; there are + - * / %")
        return SIGNS[token.text]

    @staticmethod
    def _joined(left: Node, sign: Sign, right: Node) -> Node:
        return Arithmetic(left.span.to(right.span), sign, left, right)

    def _signed(self) -> Node:
        if not self._at("-"):
            return self._atom()
        sign = self._deeper()
        operand = self._signed()
        self._depth -= 1
        return Negative(sign.span.to(operand.span), operand)

    def _deeper(self) -> _Token:
        token = self._take()
        self._depth += 1
        if self._depth > DEEPEST:
            raise token.span.error(f"the rule goes deeper than {DEEPEST} levels; write it in a flatter way")
        return token

    def _atom(self) -> Node:
        token = self._next
        if self._at("("):
            return self._bracketed()
        if token.kind is _Kind.NUMBER:
            return _number(self._take(), self._next)
        if token.kind is _Kind.WORD and token.text in ("True", "False"):
            self._take()
            return Literal(token.span, token.text == "True")
        if token.kind is _Kind.WORD and token.text not in WORDS:
            self._take()
            return self._call(token) if self._at("(") else Name(token.span, token.text)
        raise token.span.error(f"a column or a number is missing here{self._instead()}")

    def _bracketed(self) -> Node:
        self._deeper()
        node = self._some()
        self._expect(")", "each ( needs its )")
        self._depth -= 1
        return node

    def _call(self, word: _Token) -> Node:
        if word.text != "abs":
            hint = nearest(word.text, ["abs"])
            raise word.span.error(f"there is no function {word.text}(){hint}; the only one is abs()")
        operand = self._bracketed()
        return Absolute(word.span.to(operand.span), operand)


def _number(token: _Token, after: _Token) -> Node:
    text = token.text
    touching = after.kind in (_Kind.WORD, _Kind.NUMBER) and after.span.start == token.span.stop
    if touching or not WRITTEN.fullmatch(text) or not text.isascii():
        shown = text + after.text if touching else text
        span = token.span.to(after.span) if touching else token.span
        raise span.error(f"{shown!r} is no number; write it as 900, 1_000, 0.5 or 1e6")
    real = float(text)
    if math.isinf(real):
        raise token.span.error(f"{brief(text)} is larger than any number")
    return Literal(token.span, int(text) if text.replace("_", "").isdigit() else real)
