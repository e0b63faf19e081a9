"""The sinks that come with Grove, registered as any plugin's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.parts.hookspecs import hookimpl
from grove_core.sinks.jsonl import JsonLines
from grove_core.sinks.log import Structlog
from grove_core.sinks.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grove_core.parts.sinks import InlineSink, Sink


@hookimpl
def grove_register_sinks() -> Mapping[str, Callable[..., Sink | InlineSink]]:
    """Offer `structlog`, the default, `jsonl` and `prometheus`."""
    return {"structlog": Structlog, "jsonl": JsonLines, "prometheus": Prometheus}
