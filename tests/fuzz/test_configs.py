"""Whatever a config holds: it is one, or refused; and mistakes are told just where there are some."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.configs import config_of, merged
from grove_core.base.errors import InvalidInput
from grove_core.worker.configs import mistakes_of

from .budget import budget
from .drawn import PLAIN, TEXTS


class Part(msgspec.Struct, forbid_unknown_fields=True):
    n: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    on: bool = True


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    x: float
    part: Part | None = None
    parts: list[Part] = []
    table: dict[str, Part] = {}
    texts: Annotated[list[str], msgspec.Meta(max_length=2)] = []
    any: Any = None


KEYS = st.sampled_from(["x", "part", "parts", "table", "texts", "any", "n", "on", "a b", ""]) | TEXTS
NEAR = st.recursive(
    st.sampled_from([0, 1, 9, 10, -1, 0.5, True, None, "", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
"""Values that are near to what is described."""
CONFIGS = st.dictionaries(KEYS, NEAR, max_size=6)
ODD = st.sampled_from([object(), {1}, 1j, b"", 1 << 70, "\ud800", float("nan"), {1: 2}, {(1, 2): 3}, ...])


@budget(250)
@given(CONFIGS)
def test_there_is_a_mistake_where_it_does_not_fit(config: dict[str, Any]) -> None:
    mistakes = mistakes_of(config, Whole)
    try:
        msgspec.convert(config, Whole)
    except msgspec.ValidationError:
        assert mistakes
    else:
        assert mistakes == ()
    assert len(set(mistakes)) == len(mistakes)


@budget(100)
@given(PLAIN[Any] | ODD | st.dictionaries(TEXTS | st.integers(), PLAIN[Any] | ODD, max_size=3))
def test_anything_is_a_config_or_refused(given_: Any) -> None:
    try:
        config = config_of(given_)
    except InvalidInput as error:
        assert error.message.startswith("config must")
        return
    assert msgspec.msgpack.encode(config_of(config)) == msgspec.msgpack.encode(config)
    mistakes_of(config, Whole)


@budget(100)
@given(CONFIGS, CONFIGS)
def test_merging_twice_is_merging_once(config: dict[str, Any], changes: dict[str, Any]) -> None:
    once = merged(config, changes)
    assert merged(once, changes) == once
    assert merged(config, {}) == config
    for key, value in changes.items():
        if value is None:
            assert key not in once
        elif not isinstance(value, dict):
            assert once[key] == value
    assert {key: once[key] for key in config if key not in changes} == {
        key: value for key, value in config.items() if key not in changes
    }
