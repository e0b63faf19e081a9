"""Which version a requirement means."""

from __future__ import annotations

import random
import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.base.errors import (
    AmbiguousVersion,
    BrokenPackage,
    ConflictingPackages,
    InvalidRequirement,
    UnknownModule,
    UnknownVersion,
)
from grove_core.base.records import VersionRecord
from grove_core.parts.choosing import choose, resolve_loaded
from grove_core.parts.conflicts import ConflictingRecord

BROKEN = "the metadata is broken"


def record(version: str | None, module: str = "ledger", error: str | None = None) -> VersionRecord:
    known = None if version is None else Version(version)
    return VersionRecord(module, known, f"grove-{module}", "pkg:Main", "here", error=error)


def records(*versions: str) -> list[VersionRecord]:
    return [record(version) for version in versions]


def chosen(requirement: int | str | Version, *versions: str) -> str:
    return str(choose(records(*versions), "ledger", requirement).version)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (1, "1.10.0"),
        ("1", "1.10.0"),
        (2, "2.0.0"),
        ("1.2.0", "1.2.0"),
        ("1.2", "1.2.0"),
        (Version("1.2.0"), "1.2.0"),
        (">=1,<1.10", "1.9.3"),
        ("~=1.2", "1.10.0"),
        (">=1", "2.0.0"),
        ("2.1.0rc1", "2.1.0rc1"),
        (">=2.1.0rc1", "2.1.0rc1"),
        ("==1.*", "1.10.0"),
    ],
)
def test_the_highest_that_fits_is_chosen(requirement: int | str | Version, expected: str) -> None:
    assert chosen(requirement, "1.2.0", "1.10.0", "1.9.3", "2.0.0", "2.1.0rc1") == expected


@pytest.mark.parametrize("requirement", [2, "2", ">=1.1", "==2.*", ">1.0"])
def test_a_pre_release_is_not_chosen_unless_it_is_named(requirement: int | str) -> None:
    with pytest.raises(UnknownVersion, match=r"a pre-release must be named: '2\.0\.0rc1'"):
        chosen(requirement, "1.0", "2.0.0rc1")


def test_an_unknown_module_lists_those_there_are() -> None:
    known = [record("1.0", "zoo"), record("1.0", "audit"), record("2.0", "audit"), record(None, "?", BROKEN)]
    with pytest.raises(UnknownModule, match=r"ledger: .*installed modules: audit, zoo$"):
        choose(known, "ledger", 1)
    with pytest.raises(UnknownModule, match="none"):
        choose([], "ledger", 1)


def test_an_unknown_version_lists_those_there_are() -> None:
    with pytest.raises(UnknownVersion, match=r"'3'; installed: 1\.0, 1\.10, 2\.0$"):
        chosen(3, "1.10", "1.0", "2.0")


def test_a_broken_one_that_would_fit_says_why() -> None:
    with pytest.raises(BrokenPackage, match=f"ledger@2.0: .*{BROKEN}"):
        choose([record("1.0"), record("2.0", error=BROKEN)], "ledger", 2)


def test_a_sound_one_that_fits_is_taken_before_a_broken_one() -> None:
    both = [record("2.0"), record("2.1", error=BROKEN)]
    assert choose(both, "ledger", 2).version == Version("2.0")
    with pytest.raises(BrokenPackage):
        choose(both, "ledger", "2.1")


def test_a_claimed_one_says_who_claims_it() -> None:
    rivals = [
        ConflictingRecord("ledger", Version("2.0"), name, "p:M", "here", error="claimed by a and by b") for name in "ab"
    ]
    with pytest.raises(ConflictingPackages, match="claimed by a and by b"):
        choose(rivals, "ledger", 2)


def test_what_has_no_version_is_mentioned() -> None:
    with pytest.raises(BrokenPackage, match=BROKEN):
        choose([record(None, error=BROKEN)], "ledger", 1)
    with pytest.raises(UnknownVersion, match=f"installed: 1.0; grove-ledger is broken: {BROKEN}"):
        choose([record("1.0"), record(None, error=BROKEN)], "ledger", 2)


@pytest.mark.parametrize("requirement", ["", "latest", "==", ">>1", -1, True, 1.5, None])
def test_what_is_no_requirement_is_refused(requirement: object) -> None:
    with pytest.raises(InvalidRequirement):
        choose(records("1.0"), "ledger", requirement)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequirement):
        resolve_loaded("ledger", [Version("1.0")], requirement)  # type: ignore[arg-type]


def test_one_loaded_version_must_fit() -> None:
    loaded = [Version("1.0"), Version("1.1"), Version("2.0")]
    assert resolve_loaded("ledger", loaded, 2) == Version("2.0")
    assert resolve_loaded("ledger", loaded, "1.1") == Version("1.1")
    with pytest.raises(AmbiguousVersion, match=r"'1' fits 1\.0, 1\.1"):
        resolve_loaded("ledger", loaded, 1)
    with pytest.raises(UnknownVersion, match=r"no loaded version fits '3'; loaded: 1\.0, 1\.1, 2\.0"):
        resolve_loaded("ledger", reversed(loaded), 3)
    with pytest.raises(UnknownVersion, match="loaded: none"):
        resolve_loaded("ledger", [], 1)


numbers = st.integers(0, 5)
versions = st.builds(
    lambda major, minor, pre: f"{major}.{minor}{pre}",
    numbers,
    numbers,
    st.sampled_from(["", "", "a1", "rc2", ".post1"]),
)


@given(st.lists(versions, min_size=1, unique=True), numbers, st.randoms())
def test_a_major_means_its_highest_final_in_any_order(given_: list[str], major: int, shuffle: random.Random) -> None:
    fitting = [v for v in map(Version, given_) if v.major == major and not v.is_prerelease]
    shuffle.shuffle(given_)
    if fitting:
        assert choose(records(*given_), "ledger", major).version == max(fitting)
    else:
        with pytest.raises(UnknownVersion):
            choose(records(*given_), "ledger", major)


@given(st.lists(versions, min_size=1, unique=True), st.data())
def test_an_exact_version_means_itself(given_: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(given_))
    assert choose(records(*given_), "ledger", wanted).version == Version(wanted)
    assert resolve_loaded("ledger", map(Version, given_), wanted) == Version(wanted)


@given(st.text(string.printable, max_size=12))
def test_any_text_is_answered_or_refused_by_an_error_of_ours(text: str) -> None:
    with suppress(InvalidRequirement, UnknownVersion):
        assert choose(records("1.0", "2.0"), "ledger", text).error is None


def test_a_requirement_of_any_length_is_told_in_a_line() -> None:
    for call in (lambda text: choose(records("1.0"), "ledger", text), lambda text: resolve_loaded("ledger", [], text)):
        with pytest.raises(UnknownVersion, match=r"fits '===xxx") as caught:
            call("===" + "x" * 5000)
        assert len(str(caught.value)) < 400
