"""The sink `prometheus`: what a server that fetches `/metrics` by HTTP reads."""

from __future__ import annotations

import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import pytest
from packaging.version import Version

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.errors import PluginFailed
from grove_core.base.events import Event, EventKind
from grove_core.base.metrics import Average
from grove_core.base.samples import Sample
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.sinks.prometheus import Prometheus

from .made import metrics, numbered

needed = pytest.mark.skipif(
    find_spec("prometheus_client") is None,
    reason="prometheus-client is not installed",
)


@pytest.fixture
def sink() -> Iterator[Prometheus]:
    made = Prometheus(port=0)
    yield made
    made.close()


def fetched(sink: Prometheus) -> dict[str, float]:
    """Fetch every figure: name and labels -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(grove_\S+(?: \S+=.*?})?) (\S+)$", text, re.MULTILINE)}


@needed
def test_the_latest_sample_is_served(sink: Prometheus) -> None:
    assert fetched(sink) == {}
    judgement = Judgement(Verdict.INCONCLUSIVE, "too little")
    for entities in (10, 20):
        versions = (
            metrics("1.0.0", entities, memory=4096),
            replace(metrics("2.0.0"), observed={"joy": Average(8, 0.25)}, service_calls=5, avg_service_ms=1.5),
        )
        sink.sample(Sample("gamelogic", 1.0, 2.0, versions, {"evidence": judgement}))
    sink.sample(Sample("physics", 1.0, 2.0, (metrics("1.0.0", 3),)))
    figures = fetched(sink)
    of = '{{module="{}",version="{}"}}'.format
    assert figures["grove_entities" + of("gamelogic", "1.0.0")] == 20
    assert figures["grove_entities" + of("physics", "1.0.0")] == 3
    assert figures["grove_memory_bytes" + of("gamelogic", "1.0.0")] == 4096
    assert "grove_memory_bytes" + of("gamelogic", "2.0.0") not in figures, "it could not be measured"
    assert figures["grove_traffic_ratio" + of("gamelogic", "2.0.0")] == 0.5
    assert figures["grove_tick_p99_seconds" + of("gamelogic", "2.0.0")] == 0.002
    assert figures["grove_ticks_total" + of("gamelogic", "2.0.0")] == 7
    assert figures["grove_errors_total" + of("gamelogic", "2.0.0")] == 4
    assert figures["grove_service_calls_total" + of("gamelogic", "2.0.0")] == 5
    assert figures["grove_service_mean_seconds" + of("gamelogic", "2.0.0")] == 0.0015
    assert "grove_service_mean_seconds" + of("gamelogic", "1.0.0") not in figures, "it was never called"
    assert figures['grove_observed_total{module="gamelogic",name="joy",version="2.0.0"}'] == 8
    assert figures['grove_observed_mean{module="gamelogic",name="joy",version="2.0.0"}'] == 0.25
    assert figures['grove_judgement{judge="evidence",module="gamelogic"}'] == Verdict.INCONCLUSIVE.badness


@needed
def test_events_are_counted_by_kind_and_module(sink: Prometheus) -> None:
    for number in range(3):
        sink.event(numbered(number))
    sink.event(numbered(4, EventKind.FAULT, "physics"))
    sink.event(Event(EventKind.PLUGIN_FAILED, 0.0))
    assert fetched(sink) == {
        'grove_events_total{kind="split_set",module="gamelogic"}': 3,
        'grove_events_total{kind="fault",module="physics"}': 1,
        'grove_events_total{kind="plugin_failed",module=""}': 1,
    }


@needed
@pytest.mark.parametrize("kind", [EventKind.VERSION_UNLOADED, EventKind.VERSION_COLLECTED])
def test_a_version_that_is_gone_is_not_served(sink: Prometheus, kind: EventKind) -> None:
    sink.sample(Sample("gamelogic", 1.0, 2.0, (metrics("1.0.0"), metrics("2.0.0"))))
    for major in (2, 1):
        gone = Version(f"{major}.0.0")
        assert any(f'"{gone}"' in name for name in fetched(sink))
        sink.event(replace(numbered(0, kind), version=gone))
        assert not any(f'"{gone}"' in name for name in fetched(sink))


@needed
def test_a_port_that_is_taken_is_an_error_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        catalogue = Catalogue(make_plugin_manager()[0])
        with pytest.raises(PluginFailed, match=r"the sink 'prometheus' cannot be made with .*in use"):
            catalogue.make(PartKind.SINK, "prometheus", {"port": taken.getsockname()[1]})


@needed
def test_two_have_registries_of_their_own(sink: Prometheus) -> None:
    other = Prometheus(port=0)
    try:
        sink.event(numbered(0))
        assert fetched(sink) and not fetched(other)
    finally:
        other.close()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    catalogue = Catalogue(make_plugin_manager()[0])
    with pytest.raises(PluginFailed, match=r"pip install 'grove-core\[prometheus\]'"):
        catalogue.make(PartKind.SINK, "prometheus", {})
