"""The copies that an engine runs versions from: whoever has one removes it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grove_core.runtime.copies.packages import Packages
from grove_core.scenario.common.written import package, write

from ..striking import places_of, strike


@pytest.fixture(autouse=True)
def copies(tmp_path: Path) -> Iterator[Path]:
    """The folder that copies are made in."""
    folder = tmp_path / "copies"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


def test_whatever_strikes_while_copies_are_handed_over_one_of_the_two_has_each(copies: Path, tmp_path: Path) -> None:
    given = write(tmp_path / "given", package("ledger", "1.0.0", {"__init__.py": ""}))

    def made() -> tuple[Packages, Packages]:
        mine, theirs = Packages(), Packages()
        theirs.records(given)
        return mine, theirs

    def take() -> None:
        mine, theirs = made()
        mine.take(theirs)
        mine.close()

    places = [place for place in places_of(take) if "packages" in place[0][0] and place[0][1] in lines_of_take()]
    assert len(places) >= 3
    for place, nth in places:
        mine, theirs = made()
        assert strike(lambda mine=mine, theirs=theirs: mine.take(theirs), place, nth)
        theirs.close()  # as a call does that has ended
        assert set(mine._copies) == set(copies.iterdir())
        assert all(Path(record.path[0]) in mine._copies for record in mine.records(given))
        mine.close()
        assert list(copies.iterdir()) == []


def lines_of_take() -> range:
    code = Packages.take.__code__
    return range(code.co_firstlineno, max(line for _, _, line in code.co_lines() if line) + 1)
