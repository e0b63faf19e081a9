from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.docs import BEGIN, END, with_results
from benchmarks.figures import Unit, Who
from benchmarks.tables import shown, tables

from .made import figure, results

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
RUN = results(
    figure([0.25]),
    figure([0.125], who=Who.MEMCPY),
    figure([9.0], who=Who.OBJECTS),
    figure([8.0], who=Who.DICTS),
    figure([3.0], who=Who.ERLANG_ETS),
    figure([7.0], "move 20%, back"),
    absent=("numba",),
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.000_12, Unit.MS, "120 ns"),
        (0.0512, Unit.MS, "51.2 us"),
        (1.0, Unit.MS, "1.00 ms"),
        (123.4, Unit.MS, "123 ms"),
        (2500.0, Unit.MS, "2.50 s"),
        (99.96, Unit.PERCENT, "100%"),
        (1.304, Unit.TIMES_MEMCPY, "1.30 x memcpy"),
    ],
)
def test_values_have_three_digits_and_a_unit(value: float, unit: Unit, text: str) -> None:
    assert shown(value, unit) == text


def test_ours_stands_beside_the_fastest_of_each_kind() -> None:
    beside = next(table for table in tables(RUN) if table.title.startswith("Beside"))
    (row,) = beside.rows
    assert dict(zip(beside.titles, row, strict=True)) == {
        "case": "tick",
        "entities": "100",
        "ours": "250 us",
        "p95": "250 us",
        "p99": "250 us",
        "runs": "1",
        "memcpy": "125 us",
        "numpy": "",
        "plain Python": "8.00 ms (dicts)",
        "Erlang": "3.00 ms (ETS)",
    }


def test_what_nothing_stands_beside_has_a_table_of_its_own() -> None:
    alone = next(table for table in tables(RUN) if table.title.startswith("By"))
    assert [row[0] for row in alone.rows] == ["move 20%, back"]


def test_the_results_replace_those_before_and_nothing_else() -> None:
    text = DOCUMENT.read_text("utf-8")
    once = with_results(text, RUN)
    assert once.startswith(text.partition(BEGIN)[0])
    assert once.endswith(text.partition(END)[2])
    assert "| tick | 100 | 250 us |" in once
    assert "Not measured: numba." in once
    assert with_results(once, RUN) == once


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, BEGIN + END + BEGIN, BEGIN + END + END])
def test_a_document_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        with_results(text, RUN)


def test_a_chart_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.chart import draw

    draw(RUN, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
