"""A report of what real engines did and wrote down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from grove_core.base.rollouts import RolloutState
from grove_core.cli.exits import ExitCode
from grove_core.cli.main import main
from grove_core.parts.choice import Choice
from grove_core.reporting.history import history
from grove_core.reporting.period import last_period
from grove_core.sinks.reading import read_events

from ..reporting.made import Page, told
from .conftest import OpenEngine
from .rolling import BAD, DT, ONE, THREE, TWO, populate, run, state
from .sources import MODULE, SCHEMA_1, version
from .test_rollouts import opened

FUN = version("e.n += 1\nself.observe('fun', e.tag)", schema=SCHEMA_1)


def test_a_good_rollout_and_a_failed_one(open_engine: OpenEngine, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sources = {"1.0.0": FUN, "2.0.0": FUN, "3.0.0": BAD}
    engine, clock = opened(
        open_engine, sources, sinks=(Choice("jsonl", {"path": str(path)}),), sample_interval_seconds=DT
    )
    populate(engine)
    run(engine, clock, 3)
    engine.rollouts.start(MODULE, 2)
    run(engine, clock, 29)
    running = engine.compare_versions(MODULE)
    run(engine, clock, 60, until=lambda: state(engine) is RolloutState.PROMOTED)
    promoted = engine.rollouts.status(MODULE)
    run(engine, clock, 2)
    engine.rollouts.start(MODULE, 3)
    run(engine, clock, 10, until=lambda: state(engine) is RolloutState.FAILED)
    failed = engine.rollouts.status(MODULE)
    run(engine, clock, 1)
    engine.close()

    good = told(path, MODULE, 1)
    assert good.of("h1") == ["counter 2.0.0 was promoted: after 30.0 s it took over from 1.0.0."]
    assert good.of("p")[0].rstrip(".").lower() == promoted.reason.lower()
    assert {"Weight", "Judge evidence", "Observed: fun", "Memory"} <= set(good.of("h3"))
    bad = told(path, MODULE)
    assert bad.of("h1")[0].startswith("counter 3.0.0 failed after ")
    assert bad.of("h1")[0].endswith("and its 100 entities went back to 2.0.0.")
    assert failed.reason in bad.text and promoted.reason in bad.text, "the earlier one is told in short"
    assert "evidence: fail" in bad.text

    both = history(MODULE, read_events(path))
    assert [len(story.decisions) for story in both.stories] == [2, 2]
    period = last_period(both.story(1))
    assert period is not None and period.whole
    assert (period.stable, period.versions, period.weight) == (ONE, (ONE, TWO), pytest.approx(0.1))
    figures = {metric.name: metric.figures for metric in period.metrics}
    assert [figures["entities"][each].value for each in period.versions] == [900, 100]
    # What the engine said a second before the end is what the file says of that moment.
    until = [each for each in both.stories[0].run.moments if each.at <= running.at + DT / 2][-1]
    fun = {metric.name: metric.figures for metric in running.metrics}["fun"]
    assert figures["fun"][TWO].value == pytest.approx(fun[TWO].value)
    assert figures["fun"][TWO].low == pytest.approx(fun[TWO].low, rel=0.05)
    assert until.versions[str(TWO)].calls == 290 * 100
    worse = last_period(both.story(None))
    assert worse is not None and worse.versions == (TWO, THREE)
    rate = {metric.name: metric.figures for metric in worse.metrics}["error_rate"][THREE]
    assert rate.value == pytest.approx(0.1, abs=0.06) and rate.low is not None and rate.low > 0


def test_the_file_says_what_the_engine_says(open_engine: OpenEngine, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    slow = version("e.n += 1\ne.fail(e.id[e.id % 50 == 0], 'on purpose')\nself.observe('fun', e.tag)", schema=SCHEMA_1)
    sinks = (Choice("jsonl", {"path": str(path)}),)
    engine, clock = opened(open_engine, {"1.0.0": slow, "2.0.0": slow}, sinks=sinks, sample_interval_seconds=DT)
    populate(engine)
    run(engine, clock, 2)
    engine.rollouts.start(MODULE, 2)
    engine.compare_versions(MODULE)  # it compares from here on, as the file does
    run(engine, clock, 8)
    engine.observe(MODULE, "revenue", np.ones(1000), np.arange(1000))
    run(engine, clock, DT)
    compared = engine.compare_versions(MODULE)
    engine.close()
    period = last_period(history(MODULE, read_events(path)).story(None))
    assert period is not None and period.whole and period.ends == compared.at
    assert period.ends - period.begins == pytest.approx(compared.seconds)
    told_by_file = {metric.name: metric.figures for metric in period.metrics}
    assert set(told_by_file) == {metric.name for metric in compared.metrics}
    for metric in compared.metrics:
        for each, figure in metric.figures.items():
            found = told_by_file[metric.name][each]
            rough = 0.2 if metric.name == "memory_mb" else 1e-6  # it is measured anew
            for name in ("value", "low", "high", "ratio", "ratio_low", "ratio_high"):
                mine, theirs = getattr(found, name), getattr(figure, name)
                assert (mine is None) == (theirs is None), (metric.name, name)
                if theirs is not None:
                    assert mine == pytest.approx(theirs, rel=rough), (metric.name, name)


def test_the_command(open_engine: OpenEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine, clock = opened(open_engine, {"1.0.0": FUN, "2.0.0": FUN}, sinks=(Choice("jsonl"),))
    populate(engine)
    run(engine, clock, 1)
    result = CliRunner().invoke(main, ["report", MODULE])
    assert (result.exit_code, result.stderr.count("\n")) == (ExitCode.NOT_FOUND, 1)
    assert "no rollout" in result.stderr
    engine.rollouts.start(MODULE, 2)
    engine.rollouts.abort(MODULE)
    engine.close()
    result = CliRunner().invoke(main, ["report", MODULE])
    assert result.exit_code == ExitCode.OK, result.output
    assert result.stdout.startswith("counter-report.html: ")
    assert "was aborted" in Page((tmp_path / "counter-report.html").read_text("utf-8")).of("h1")[0]
    written = CliRunner().invoke(
        main, ["report", MODULE, "--events", "grove-events.jsonl", "--out", "x.html", "--rollout", "1"]
    )
    assert written.exit_code == ExitCode.OK and (tmp_path / "x.html").exists()
    for arguments, code, words in (
        (["nothing"], ExitCode.NOT_FOUND, f"nothing: the file tells nothing of it; it does of: {MODULE}"),
        ([MODULE, "--rollout", "7"], ExitCode.NOT_FOUND, "no rollout 7 of it in the file; there are: 1"),
        ([MODULE, "--events", "none.jsonl"], ExitCode.NOT_FOUND, "none.jsonl: there is no such file"),
        ([MODULE, "--events", "."], ExitCode.FAILED, "cannot be read: Is a directory"),
        ([MODULE, "--out", "no/x.html"], ExitCode.FAILED, "no/x.html cannot be written: No such file"),
        ([MODULE, "--rollout", "0"], ExitCode.USAGE, "--rollout"),
    ):
        result = CliRunner().invoke(main, ["report", *arguments])
        assert result.exit_code == code, (arguments, result.output)
        assert words in result.stderr, (arguments, result.stderr)
