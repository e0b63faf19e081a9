"""What a caller may write for a version."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.base.errors import InvalidRequirement
from grove_core.base.versions import matching, satisfies, specifier, specifiers

ALL = [Version(text) for text in ("2.0", "1.0", "1.10", "1.9", "2.1rc1", "3.0.dev1")]


def texts(requirement: int | str | Version) -> list[str]:
    return [str(version) for version in matching(requirement, ALL)]


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (1, ["1.0", "1.9", "1.10"]),
        (" 1 ", ["1.0", "1.9", "1.10"]),
        ("01", ["1.0", "1.9", "1.10"]),
        ("1.0", ["1.0"]),
        ("1.0.0", ["1.0"]),
        ("==1.*", ["1.0", "1.9", "1.10"]),
        (">=1.9", ["1.9", "1.10", "2.0"]),
        (">=1.9,<2", ["1.9", "1.10"]),
        ("!=1.9", ["1.0", "1.10", "2.0"]),
        ("===2.0", ["2.0"]),
        (3, []),
        ("3.0.dev1", ["3.0.dev1"]),
        (Version("2.1rc1"), ["2.1rc1"]),
        (">=2.1rc1", ["2.1rc1", "3.0.dev1"]),
    ],
)
def test_what_fits_comes_lowest_first(requirement: int | str | Version, expected: list[str]) -> None:
    assert texts(requirement) == expected


def test_no_pre_release_fits_even_where_nothing_else_does() -> None:
    assert matching(">=1", [Version("1.0rc1")]) == []


def test_a_lens_means_pre_releases_as_well() -> None:
    assert satisfies(Version("2.1rc1"), "==2.*")
    assert not satisfies(Version("3.0"), "==2.*")


@pytest.mark.parametrize("requirement", ["", " ", "one", "1.x", "=1", -1, False, 2.0, None, [1]])
def test_what_is_none_says_what_to_write(requirement: object) -> None:
    with pytest.raises(InvalidRequirement, match="version"):
        specifier(requirement)  # type: ignore[arg-type]


DIGITS = "9" * 5000
"""More than Python reads as one number."""


@pytest.mark.parametrize(
    "requirement",
    [DIGITS, f">={DIGITS}", f"1.{DIGITS}", f"<2,=={DIGITS}.*", 10**5000, -(10**5000)],
    ids=["major", "at least", "exact", "below and within", "number", "negative"],
)
def test_a_number_of_too_many_digits_is_no_version(requirement: str | int) -> None:
    with pytest.raises(InvalidRequirement, match="is not a version") as caught:
        matching(requirement, ALL)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", [f">={DIGITS}", f"<1,!={DIGITS}.*", "1", "=="], ids=["at least", "not", "bare", "empty"]
)
def test_specifiers_that_cannot_be_held_against_a_version_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"digits|Invalid specifier"):
        specifiers(text)


release = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
versions = st.builds("{}{}".format, release, st.sampled_from(["", "a1", "b2", "rc3", ".dev4", ".post5"])).map(Version)


@given(st.lists(versions), versions)
def test_what_fits_is_sorted_distinct_and_among_those_given(there: list[Version], wanted: Version) -> None:
    for requirement in (wanted, str(wanted), wanted.major, f">={wanted}"):
        fitting = matching(requirement, there)
        assert fitting == sorted(set(fitting))
        assert set(fitting) <= set(there)
    if wanted in there:
        assert wanted in matching(wanted, there)


@given(st.text(string.printable, max_size=15))
def test_any_text_becomes_a_specifier_or_an_error_of_ours(text: str) -> None:
    try:
        specifier(text)
    except InvalidRequirement as error:
        assert repr(text) in str(error)
