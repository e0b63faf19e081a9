"""Strategies for whatever can cross the wire: well-formed messages of any content, and what they are mutated into."""

from __future__ import annotations

import types
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from grove_core.author.lens import Map, MapSpec
from grove_core.author.schema import Column, ColumnSpec, Scalar
from grove_core.base.limits import Limits
from grove_core.wire.messages import Message

INTS = st.integers(-(1 << 63), (1 << 64) - 1) | st.integers(-2, 9)
FLOATS = st.floats(width=64)
NAMES = st.sampled_from(["id", "x", "n", "flag", "self", "constant", "_x", "spawn", "é", "class", "", "a b", "0"])
SOUND = ["f4", "<f8", ">f2", "i1", "<i8", "u1", "u8", "?", "|b1", "float32", "bool"]
ODD = ["g", "c8", "O", "M8[s]", "m8[s/0]", "f4,i4", "(2,)f4", "(9999999999,)f4", "S4", "T", "a4", "V0", "f99"]
DTYPES = st.sampled_from([*SOUND, *ODD, "", "\0"])
VERSIONS = st.sampled_from(["==1.*", "==2.*", ">=1,<3", "", "1", "===x", ">=" + "9" * 5000, "!=1.0", "~=1", "==1.0+a"])
TEXTS = st.text(max_size=12) | NAMES | DTYPES | VERSIONS
RAW = st.binary(max_size=24) | st.sampled_from([b"", bytes(8), b"\xff" * 8, bytes(range(16))])
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: INTS,
    float: FLOATS | INTS,
    bool: st.booleans(),
    str: TEXTS,
    bytes: RAW,
    type(None): st.none(),
    Any: st.recursive(
        st.none() | st.booleans() | INTS | FLOATS | TEXTS | RAW,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
}


def mostly(usual: st.SearchStrategy[Any], seldom: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return one of eight that is seldom, so that what is made of several is sound often enough."""
    return st.integers(0, 7).flatmap(lambda number: seldom if number == 7 else usual)


@cache
def of(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of a type that a message may have: of the right type, and of any content."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.one_of([of(each) for each in arguments if each is not Map])
    if (origin is tuple and arguments[1:] == (...,)) or origin is Sequence:
        return st.lists(of(arguments[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of, arguments))
    if origin is dict:
        return st.dictionaries(of(arguments[0]), of(arguments[1]), max_size=3)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    fields = {field.name: of(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields | NEAR.get(kind, {}))


NEAR: dict[Any, dict[str, st.SearchStrategy[Any]]] = {
    Limits: {name: st.none() | st.integers(1, 1 << 40) for name in Limits.__struct_fields__},
    Column: {
        "dtype": mostly(st.sampled_from(SOUND), DTYPES | TEXTS),
        "default": mostly(st.sampled_from([0, 1, False, 0.0]), of(Scalar)),
        "low": mostly(st.sampled_from([None, 0, -1.5]), of(Scalar)),
        "high": mostly(st.sampled_from([None, 1, 1e300]), of(Scalar)),
    },
    ColumnSpec: {"name": mostly(st.text("abcxyz", min_size=1, max_size=4), NAMES | st.text(max_size=4))},
    MapSpec: {"sources": st.lists(NAMES, max_size=3).map(tuple), "targets": st.lists(NAMES, max_size=3).map(tuple)},
}
"""Fields of which some values are of more interest than others."""


def packed(message: Any) -> bytes:
    return msgspec.msgpack.encode(message)


def messages(union: Any) -> st.SearchStrategy[Message]:
    """Return messages of a union."""
    return of(union)


HEADERS = [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9", b"\xdc", b"\xde", b"\xc5"]
"""What begins an array, a map, bytes, a text or an extension whose length comes in four or two bytes."""
LENGTHS = [b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0" + b"\xff" * 3]
NESTING = [b"\x91", b"\x81\xa0", b"\x81"]


@st.composite
def mutated(draw: st.DrawFn, packets: st.SearchStrategy[bytes]) -> bytes:
    """Return a packet with up to four mutations: bits, cuts, splices, repeats, nesting, lengths that are not there."""
    packet = draw(packets)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(packet)))
        head, tail = packet[:at], packet[at:]
        match draw(st.integers(0, 7)):
            case 0:
                packet = head + bytes([tail[0] ^ (1 << draw(st.integers(0, 7)))]) + tail[1:] if tail else head
            case 1:
                packet = head
            case 2:
                packet = head + draw(packets)[draw(st.integers(0, 40)) :]
            case 3:
                packet = head + head + tail
            case 4:
                packet = head + draw(st.binary(max_size=8)) + tail
            case 5:
                packet = (
                    head + draw(st.sampled_from([b"\x91", b"\x81\xa0", b"\x81"])) * draw(st.integers(1, 3000)) + tail
                )
            case 6:
                packet = (
                    head + draw(st.sampled_from(HEADERS)) + draw(st.sampled_from([b"\xff" * 4, b"\x0f" * 4])) + tail
                )
            case _:
                packet = head + tail[draw(st.integers(1, 9)) :]
    return packet
