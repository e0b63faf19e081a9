"""A settings file of any content is settings, or an error that names the file and what does not fit."""

from __future__ import annotations

import math
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from grove_core.base.errors import GroveError, InvalidRequirement, SettingsError
from grove_core.base.versions import matching, satisfies, specifiers
from grove_core.parts.choosing import choose, resolve_loaded
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.parts.settings import Settings

from .budget import budget
from .drawn import TEXTS

CATALOGUE = Catalogue(make_plugin_manager()[0])
SOUND = """
[grove]
router = {use = "rendezvous", salt = "x"}
migrators = ["by_name", {use = "other", least = 0.5}]
gc_policy = "idle"
holds = ["stable"]
memory = "file"
tick_deadline_ms = 40.5
load_deadline_seconds = 10
max_entities = 1_000
"""
FIELDS = sorted(Settings.__struct_fields__)
KEYS = st.sampled_from([*FIELDS, "speed", "use", "options", "grove", "ä", "a b", "a.b", '"', ""])
SMALL = ["0", "1", "-1", "1e7", "-0.0", "nan", "inf", "-inf", "1e400", "1_0", "0.5"]
LARGE = ["0x7fffffffffffffff", "9223372036854775808", "9" * 400, "9" * 5000, "0x" + "f" * 5000, "-" + "9" * 4300]
TABLES = ["{}", "{use = 'quota'}", "{use = 1}", "{options = {}}", "{use = {}}", "{a = " * 400 + "1" + "}" * 400]
LISTS = ["[]", "['stable']", "['stable', 1]", "[{use = 'a'}]", "[[]]", "[" * 400 + "]" * 400]
TOLD = ["true", "''", "'quota'", "'file'", '"\\u00e9"', "2020-01-01", "2020-02-30", "25:00:00"]
BROKEN = ["", "=", "'''", '"\\q"', "nan.a"]
VALUES = st.sampled_from([*SMALL, *LARGE, *TABLES, *LISTS, *TOLD, *BROKEN])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a document near to one that is sound: keys and values of all sorts, tables, keys that stand twice."""
    lines = [draw(st.sampled_from(["[grove]", "[grove]", "[[grove]]", "[tool]", "grove = 1", "[grove.router]", ""]))]
    for _ in range(draw(st.integers(0, 5))):
        key = draw(st.sampled_from(FIELDS) | KEYS.map(repr) | KEYS)
        lines.append(
            draw(st.sampled_from(["{} = {}", "{} = {}", "{} = {}", "[grove.{}]\na = {}", "{}.a = {}"])).format(
                key, draw(VALUES)
            )
        )
    return "\n".join(lines)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return the sound document, with a part of it replaced or repeated."""
    text = SOUND.encode()
    start = draw(st.integers(0, len(text)))
    stop = start + draw(st.integers(0, 20))
    middle = draw(st.binary(max_size=6) | VALUES.map(str.encode) | st.just(text[start:stop] * 2))
    return text[:start] + middle + text[stop:]


NESTED = st.builds(
    lambda table, part, times: f"[grove]\nrouter = {{use = 'quota'}}\n{table}{(part + '.') * times}a]\n".encode(),
    st.sampled_from(["[", "[grove.", "[grove.router.", "[[grove.router."]),
    st.sampled_from(["a", "'a.b'", "use"]),
    st.sampled_from([1, 50, 3000]),
)
FILES = st.one_of(
    documents().map(lambda text: text.encode("utf-8", "surrogateescape")),
    damaged(),
    NESTED,
    st.binary(max_size=60),
    st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=4), st.integers(0, 20_000)),
)


@budget(250)
@given(FILES)
def test_any_file_is_settings_or_an_error_that_says_where(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grove.toml"
        path.write_bytes(content)
        try:
            settings = Settings.read(path)
        except SettingsError as error:
            assert str(error).startswith(f"{path}: ")
            return
    keep_their_limits(settings)
    make_parts(settings)


def keep_their_limits(settings: Settings) -> None:
    for name in ("tick_deadline_ms", "load_deadline_seconds", "idle_deadline_seconds", "max_entities"):
        value = getattr(settings, name)
        assert value > 0
        assert math.isfinite(value)
        assert value * 1000 < 1 << 63


def make_parts(settings: Settings) -> None:
    """Make what was chosen: there is no such part, or it does not take its options."""
    for kind, choice in ((PartKind.ROUTER, settings.router), (PartKind.FAULT_POLICY, settings.fault_policy)):
        try:
            CATALOGUE.make(kind, choice.use, choice.options)
        except GroveError as error:
            assert len(str(error)) < 6000


@budget(150)
@given(st.sampled_from(FIELDS), VALUES)
def test_one_value_that_does_not_fit_is_named_by_its_key(key: str, value: str) -> None:
    content = f"[grove]\n{key} = {value}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grove.toml"
        path.write_text(content, "utf-8")
        try:
            Settings.read(path)
        except SettingsError as error:
            assert key in str(error) or not parses(content)


def parses(content: str) -> bool:
    try:
        tomllib.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


INSTALLED = [Version(text) for text in ("1.0", "1.10", "2.0rc1", "3.0.dev1", "1!2.0", "4.0+local.1")]
OPERATORS = ["=", "==", "===", "~=", "!=", "<", "<=", ">", ">="]
PARTS = ["0", "1", "9", "v", "a", "b", "rc", "dev", "post", "x", "٣", "²", "9" * 5000]
PIECES = st.sampled_from([*OPERATORS, *PARTS, ".", ",", "*", "!", "+", "-", "_", " ", "\0"])
REQUIREMENTS: st.SearchStrategy[Any] = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    TEXTS,
    st.integers() | st.sampled_from([10**5000, -(10**5000), True, None, 1.5, float("nan"), b"1", (), [1], {}]),
    st.sampled_from(INSTALLED),
)


@budget(400)
@given(REQUIREMENTS)
def test_any_requirement_fits_some_versions_or_is_refused(requirement: Any) -> None:
    for call in (
        lambda: matching(requirement, INSTALLED),
        lambda: resolve_loaded("game", INSTALLED, requirement),
        lambda: choose([], "game", requirement),
    ):
        try:
            call()
        except GroveError as error:
            assert len(str(error)) < 6000
    if not isinstance(requirement, str):
        return
    try:
        specifiers(requirement)
    except ValueError:
        return
    for version in INSTALLED:
        assert isinstance(satisfies(version, requirement), bool)


@budget(200)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_what_packaging_reads_as_a_version_can_be_required(text: str) -> None:
    try:
        version = Version(text)
    except InvalidVersion:
        return
    except ValueError:
        with pytest.raises(InvalidRequirement):
            matching(text, INSTALLED)
        return
    assert text.isdecimal() or version in matching(version, [*INSTALLED, version])
