"""The sink `prometheus`: the latest samples, and counts of events, for a Prometheus server to fetch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from packaging.version import Version

from grove_core.base.events import Event, EventKind
from grove_core.base.metrics import VersionMetrics
from grove_core.base.samples import Sample

PORT: Final = 9464
ADDRESS: Final = "127.0.0.1"
LABELS: Final = ("module", "version")
GONE: Final = frozenset({EventKind.VERSION_UNLOADED, EventKind.VERSION_COLLECTED})
"""The kinds after which a version is not loaded any more."""


@dataclass(frozen=True)
class _Figure:
    """One figure of a version, and where it comes from."""

    name: str
    help: str
    read: Callable[[VersionMetrics], float | None]


GAUGES: Final = (
    _Figure("grove_entities", "Entities that the version has", lambda each: each.entities),
    _Figure("grove_traffic_ratio", "Its part of the module's entities", lambda each: each.traffic_percent / 100),
    _Figure("grove_weight_ratio", "The part that it was given", lambda each: each.traffic_percent_set / 100),
    _Figure("grove_tick_p50_seconds", "Half of its ticks took less", lambda each: _seconds(each.p50_process_time_ms)),
    _Figure("grove_tick_p99_seconds", "99% of its ticks took less", lambda each: _seconds(each.p99_process_time_ms)),
    _Figure("grove_service_mean_seconds", "A call of its services took", lambda each: _seconds(each.avg_service_ms)),
    _Figure("grove_memory_bytes", "Process and tables", lambda each: each.memory_usage_bytes),
    _Figure("grove_uptime_seconds", "Since it was loaded, by the engine's clock", lambda each: each.uptime_seconds),
)
COUNTERS: Final = (
    _Figure("grove_ticks", "Ticks that were committed", lambda each: each.ticks),
    _Figure("grove_processed_entities", "One for each entity and tick", lambda each: each.processed_entities),
    _Figure("grove_errors", "Faults, and entities that the version said had failed", lambda each: each.errors),
    _Figure("grove_service_calls", "Calls of its services that it answered", lambda each: each.service_calls),
)


class Prometheus:
    """Serves `/metrics` by HTTP from a registry of its own.

    A version that is unloaded is not served any more; one that is loaded again counts from 0.

    Args:
        port: where; 0 for any that is free, which `port` then tells.
        address: on which of the machine's addresses; all of them: "0.0.0.0".

    Raises:
        ImportError: prometheus-client is not installed.
        OSError: the port is taken.
    """

    def __init__(self, port: int = PORT, address: str = ADDRESS) -> None:
        try:
            client, self._core = import_module("prometheus_client"), import_module("prometheus_client.core")
        except ImportError as error:
            text = "prometheus-client is not installed; `pip install 'grove-core[prometheus]'` brings it"
            raise ImportError(f"{text} ({error})") from error
        self._samples: dict[str, Sample] = {}
        self._events: Counter[tuple[str, str]] = Counter()
        """How many of each kind and module there were."""
        registry = client.CollectorRegistry()
        registry.register(self)
        self._server, self._thread = client.start_http_server(port, address, registry)
        self.port: int = self._server.server_port

    def event(self, event: Event) -> None:
        """Count an event."""
        self._events[event.kind.value, event.module or ""] += 1
        if event.kind in GONE and event.module is not None and event.version is not None:
            self._forget(event.module, event.version)

    def sample(self, sample: Sample) -> None:
        """Serve this from now on."""
        self._samples[sample.module] = sample

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterator[Any]:
        """Yield what is served, as prometheus-client asks for it; called in a thread of the server."""
        samples = list(self._samples.values())
        for figure in GAUGES:
            yield _filled(self._core.GaugeMetricFamily(figure.name, figure.help, labels=LABELS), figure, samples)
        for figure in COUNTERS:
            yield _filled(self._core.CounterMetricFamily(figure.name, figure.help, labels=LABELS), figure, samples)
        yield from self._observed(samples)
        yield self._verdicts(samples)
        events = self._core.CounterMetricFamily("grove_events", "What happened, by kind", labels=["kind", "module"])
        for labels, count in self._events.copy().items():
            events.add_metric(labels, count)
        yield events

    def _observed(self, samples: Iterable[Sample]) -> Iterator[Any]:
        labels = [*LABELS, "name"]
        counts = self._core.CounterMetricFamily("grove_observed", "Values that were observed", labels=labels)
        means = self._core.GaugeMetricFamily(
            "grove_observed_mean", "Their mean since the version was loaded", labels=labels
        )
        for sample in samples:
            for each in sample.versions:
                for name, average in each.observed.items():
                    counts.add_metric([sample.module, str(each.version), name], average.count)
                    means.add_metric([sample.module, str(each.version), name], average.mean)
        yield counts
        yield means

    def _verdicts(self, samples: Iterable[Sample]) -> Any:
        text = "What a judge makes of the canary: 0 pass, 1 inconclusive, 2 fail"
        verdicts = self._core.GaugeMetricFamily("grove_judgement", text, labels=["module", "judge"])
        for sample in samples:
            for judge, judgement in sample.judgements.items():
                verdicts.add_metric([sample.module, judge], judgement.verdict.badness)
        return verdicts

    def _forget(self, module: str, version: Version) -> None:
        known = self._samples.pop(module, None)
        versions = () if known is None else tuple(each for each in known.versions if each.version != version)
        if known is not None and versions:
            self._samples[module] = Sample(module, known.at, known.wall, versions, known.judgements)


def _filled(family: Any, figure: _Figure, samples: Iterable[Sample]) -> Any:
    """Return a metric family of prometheus-client with one figure of every version; what is unmeasured is left out."""
    for sample in samples:
        for each in sample.versions:
            value = figure.read(each)
            if value is not None:
                family.add_metric([sample.module, str(each.version)], value)
    return family


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
