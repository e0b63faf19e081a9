"""The page: well-formed, alone, true to the file, and nothing that a text says is anything but text."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.errors import NotFound, UnknownModule, UnknownRollout
from grove_core.base.events import Event, EventKind
from grove_core.base.samples import Sample
from grove_core.reporting.history import history
from grove_core.reporting.page import page
from grove_core.sinks.reading import read_events

from .made import MODULE, ONE, TWO, Page, decided, good, metrics, passing, sample, started, told, write

BAD_TEXT = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' &amp;\x00\x07"


def test_it_says_what_became_of_the_latest_rollout(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", good())
    shown = told(path)
    assert shown.of("h1") == ["game 2.0.0 was promoted: after 30.0 s it took over from 1.0.0."]
    assert {"Weight", "Entities", "Error rate", "Time of a tick", "Judge evidence", "Memory", "Observed: fun"} <= set(
        shown.of("h3")
    )
    assert "1.0.0 → 2.0.0" in shown.of("dd") and "canary" in shown.of("dd")
    assert [found["id"] for tag, found in shown.tags if tag == "tr" and found.get("id")] == ["decision-1", "decision-2"]
    assert "evidence: pass" in " ".join(shown.of("span"))


def test_it_needs_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", good())
    text = page(history(MODULE, read_events(path)), None, str(path))
    shown = Page(text)
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in shown.tags}
    assert not re.search(r"url\(|@import|https?:|src=", text)
    assert all(found["href"].startswith("#") for _, found in shown.tags if found.get("href"))  # type: ignore[union-attr]
    assert "prefers-color-scheme:dark" in text and "@media print" in text and 'name="viewport"' in text


def test_no_text_is_anything_but_text(tmp_path: Path) -> None:
    said = {BAD_TEXT: {"verdict": BAD_TEXT, "reason": BAD_TEXT, f"{BAD_TEXT}.log10_e": 1.0, "needed_log10_e": 2.0}}
    judged = {BAD_TEXT: Judgement(Verdict.FAIL, BAD_TEXT, {"x.log10_e": 1.0, BAD_TEXT: 1.0, f"{BAD_TEXT}.limit": 2.0})}
    odd = metrics(ONE, 1.0, 900), metrics(TWO, 1.0, 100, observed={BAD_TEXT: metrics(ONE, 1.0, 9).observed["fun"]})
    items = [
        started(0.0, reason=BAD_TEXT, plan=BAD_TEXT),
        sample(1.0, judged, odd),
        Event(EventKind.FAULT, 1.0, MODULE, TWO, {BAD_TEXT: BAD_TEXT, "list": [{BAD_TEXT: BAD_TEXT}]}),
        decided(2.0, "gate_opened", "running", gate=BAD_TEXT, evidence=said),
        decided(2.0, "rollout_step", "waiting", what=BAD_TEXT, weight=None),
        decided(3.0, "rollout_failed", "failed", reason=BAD_TEXT, entities=3),
    ]
    plain = told(write(tmp_path / "plain.jsonl", good()))
    path = write(tmp_path / "e.jsonl", items)
    text = page(history(MODULE, read_events(path)), None, BAD_TEXT)
    shown = Page(text)
    assert "\x00" not in text and "\x07" not in text
    assert {tag for tag, _ in shown.tags} <= {tag for tag, _ in plain.tags} | {"small", "p"}
    assert not [name for _, found in shown.tags for name in found if name.startswith("on")]
    assert "<script>alert(1)</script>" in shown.text, "it is shown"


def test_a_module_may_be_called_anything(tmp_path: Path) -> None:
    odd = "<b>x</b>"
    items = [Event(each.kind, each.at, odd, TWO, each.details) for each in good() if isinstance(each, Event)]
    assert told(write(tmp_path / "e.jsonl", items), odd).of("h1")[0].startswith("<b>x</b> 2.0.0 was promoted")


@pytest.mark.parametrize(
    ("kind", "state", "begins"),
    [
        ("rollout_failed", "failed", "game 2.0.0 failed after 5.0 s, and its 100 entities went back to 1.0.0."),
        ("rollout_aborted", "aborted", "game 2.0.0 was aborted after 5.0 s, and its 100 entities went back to 1.0.0."),
        ("rollout_undone", "undone", "game 2.0.0 was undone after 5.0 s, and its 100 entities went back to 1.0.0."),
        ("rollout_paused", "paused", "The rollout of game 2.0.0 is paused in step 1 of 1, after 6.0 s."),
        ("rollout_step", "waiting", "The rollout of game 2.0.0 is waiting in step 1 of 1, after 6.0 s."),
    ],
)
def test_however_it_is(tmp_path: Path, kind: str, state: str, begins: str) -> None:
    ended = decided(5.0, kind, state, entities=100)
    shown = told(write(tmp_path / "e.jsonl", [started(0.0), sample(1.0), sample(4.0), ended, sample(6.0)]))
    assert shown.of("h1") == [begins]
    assert shown.of("p")[0] == "It is so."


def test_without_samples_and_with_one(tmp_path: Path) -> None:
    none = told(write(tmp_path / "none.jsonl", [started(0.0), decided(3.0, "rollout_aborted", "aborted")]))
    assert "no samples" in none.text and none.of("h3") == ["Its course"]
    one = told(write(tmp_path / "one.jsonl", [started(0.0), sample(1.0, passing(0.5))]))
    assert "There is one sample." in one.text
    assert one.count("path", **{"class": "line c1 dot"}) > 3
    alone = told(write(tmp_path / "alone.jsonl", [started(7.0)]))
    assert alone.of("h1") == ["The rollout of game 2.0.0 is running in step 1 of 1, after 0 s."]


def test_the_others_are_told_in_short_and_can_be_asked_for(tmp_path: Path) -> None:
    again = [started(50.0, 2), sample(51.0), decided(52.0, "rollout_failed", "failed", 2, reason="too bad")]
    path = write(tmp_path / "e.jsonl", [*good(), *again])
    assert told(path).of("h1")[0].startswith("game 2.0.0 failed after 2.0 s")
    assert "Other rollouts" in told(path).of("h2")
    first = told(path, number=1)
    assert first.of("h1")[0].startswith("game 2.0.0 was promoted") and "too bad" in first.text
    with pytest.raises(UnknownRollout, match=r"no rollout 3 .*there are: 1, 2"):
        told(path, number=3)


def test_a_retry_is_the_same_rollout_and_another_engine_s_is_another(tmp_path: Path) -> None:
    failed = decided(3.0, "rollout_failed", "failed", entities=1)
    retried = started(5.0, attempt=2), decided(8.0, "rollout_promoted", "promoted", attempt=2)
    shown = told(write(tmp_path / "a.jsonl", [started(0.0), failed, *retried]))
    assert "1, attempt 2" in shown.of("dd") and "again: 10%" in shown.text and "Other rollouts" not in shown.text
    anew = started(1.0), decided(2.0, "rollout_aborted", "aborted")
    for later in (0.0, 100.0):  # its clock begins anew, or goes on
        more = [Event(each.kind, each.at + later, MODULE, TWO, each.details) for each in anew]
        path = write(
            tmp_path / "b.jsonl", [started(5.0), sample(6.0), decided(8.0, "rollout_promoted", "promoted"), *more]
        )
        assert told(path).of("h1")[0].startswith("game 2.0.0 was aborted after 1.0 s")
        assert len(history(MODULE, read_events(path)).stories) == 2


def test_a_judge_says_nothing_between_an_end_and_a_retry(tmp_path: Path) -> None:
    items = [
        started(0.0),
        *(sample(float(at), passing(0.0)) for at in (1, 2)),
        decided(3.0, "rollout_failed", "failed", evidence={"evidence": {"verdict": "fail", "reason": "so"}}),
        sample(4.0),
        started(5.0, attempt=2),
        sample(6.0, passing(0.0)),
        sample(7.0, passing(0.0)),
    ]
    shown = told(write(tmp_path / "e.jsonl", items))
    blocks = [found["title"] for _, found in shown.tags if (found.get("class") or "").startswith("block")]
    judged = [each for each in blocks if each and each.startswith(("pass", "fail,"))]
    assert judged == ["pass, 1.0 to 3.0 s", "fail, 3.0 to 3.0 s", "pass, 6.0 to 7.0 s"]


def test_other_events_are_told_and_those_in_a_row_as_one(tmp_path: Path) -> None:
    failing = [Event(EventKind.ENTITIES_FAILED, float(at), MODULE, TWO, {"entities": at}) for at in range(1, 41)]
    fault = Event(EventKind.FAULT, 41.0, MODULE, TWO, {"message": "it died"})
    other = Event(EventKind.FAULT, 41.0, "other", TWO, {"message": "not of this module"})
    shown = told(write(tmp_path / "e.jsonl", [started(0.0), *failing, fault, other, sample(42.0)]))
    assert "40 times" in shown.of("small") and "1.0 s to 40.0 s" in shown.of("td")
    assert "message: it died" in shown.of("td") and "not of this module" not in shown.text


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", [Event(EventKind.FAULT, 1.0, "other"), Event(EventKind.COPIES_SWEPT, 1.0)])
    with pytest.raises(UnknownModule, match=r"game.*: other"):
        told(path)
    with pytest.raises(UnknownRollout, match="no rollout of it"):
        told(path, "other")
    with pytest.raises(NotFound, match="no module"):
        told(write(tmp_path / "e.jsonl", []))


def test_what_a_later_grove_or_a_hand_wrote_does_not_stop_it(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", good())
    odd = (
        b'{"type":"event","wall":1,"at":30,"kind":"rollout_failed","module":"game","version":"2","details":{"rollout":"x"}}',
        b'{"type":"event","wall":1,"at":30,"kind":"rollout_slept","module":"game","version":"2","details":{}}',
        b'{"type":"event","wall":1e300,"at":30,"kind":"split_set","module":"game","details":{"weights":7}}',
        b'{"type":"sample","wall":1,"at":31,"module":"game","versions":[{"version":"?"},{"version":"3","ticks":"a"},{}]}',
        b'{"type":"sample","wall":1,"at":32,"module":"game","versions":[{"version":"2.0.0","entities":1e308}]}',
        b'{"type":"sample","wall":1,"at":33,"module":"game","versions":[{"version":"2","durations":{"9999999":1}}]}',
        b'{"type":"sample","wall":1,"at":34,"module":"game","versions":[],"judgements":{"j":3,"k":{"verdict":"?"}}}',
        b"no line at all",
    )
    path.write_bytes(path.read_bytes() + b"\n".join(odd) + b"\n")
    assert told(path).of("h1")[0].startswith("game 2.0.0 was promoted")


@pytest.mark.parametrize(("seconds", "last"), [(30, "30 s"), (900, "14 min"), (72_000, "20 h")])
def test_times_are_told_in_a_fitting_unit(tmp_path: Path, seconds: int, last: str) -> None:
    ended = decided(seconds, "rollout_promoted", "promoted")
    path = write(tmp_path / "e.jsonl", [started(0.0), sample(1.0), sample(2.0), ended, sample(float(seconds))])
    assert last in told(path).of("span")


def test_ten_thousand_samples_are_drawn_in_pixels(tmp_path: Path) -> None:
    spike = 7_777
    long: list[Event | Sample] = [sample(0.0), started(0.0)]
    for at in range(1, 10_001):
        mine = metrics(TWO, float(at), 100, durations={}, observed={})
        stable = metrics(ONE, float(at), 900, durations={}, observed={})
        if at == spike:
            mine = replace(mine, p99_process_time_ms=77.0)
        long.append(sample(float(at), passing(at % 7), (stable, mine)))
    path = write(tmp_path / "e.jsonl", long)
    began = time.process_time()
    text = page(history(MODULE, read_events(path)), None, str(path))
    assert time.process_time() - began < 20, "it takes 2 s"
    assert len(text) < 1_000_000
    assert "Time of a tick" in Page(text).of("h3")
    assert "80" in Page(text).of("span"), "the one spike is on the axis"
    ((tops),) = [
        re.findall(r"[ L](\d+(?:\.\d+)?) (\d+(?:\.\d+)?)", found["d"] or "")
        for found in _lines(text, "c1 stroke dashed")
    ]
    assert [x for x, y in tops if float(y) < 50] == [str(round(spike / 10_000 * 1000, 1))], "and on the line"


def _lines(text: str, kind: str) -> list[dict[str, Any]]:
    return [found for tag, found in Page(text).tags if tag == "path" and found.get("class") == f"line {kind}"]
