"""What happened, as values: one enum of kinds, one frozen event."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from packaging.version import Version


class EventKind(StrEnum):
    """Everything an engine tells about."""

    VERSION_LOADED = "version_loaded"
    LOAD_FAILED = "load_failed"
    VERSION_UNLOADED = "version_unloaded"
    VERSION_COLLECTED = "version_collected"
    VERSION_PATCHED = "version_patched"
    PATCH_REFUSED = "patch_refused"
    PATCH_UNDONE = "patch_undone"
    COLLECTION_HELD = "collection_held"
    SPLIT_SET = "split_set"
    STABLE_CHANGED = "stable_changed"
    STATE_MIGRATED = "state_migrated"
    MAPPED = "mapped"
    FAULT = "fault"
    ROLLED_BACK = "rolled_back"
    RESTARTED = "restarted"
    PAUSED = "paused"
    RESUMED = "resumed"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    PINS_DROPPED = "pins_dropped"
    ENTITIES_FAILED = "entities_failed"
    CATCH_UP_SKIPPED = "catch_up_skipped"
    DEPENDENT_RELOADED = "dependent_reloaded"
    REQUIREMENT_UNMET = "requirement_unmet"
    DOCUMENT_LEFT = "document_left"
    BAD_GENERATION = "bad_generation"
    GENERATION_MISSED = "generation_missed"
    MEMORY_ABANDONED = "memory_abandoned"
    WORKER_OUTPUT = "worker_output"
    COPIES_SWEPT = "copies_swept"
    PLUGIN_FAILED = "plugin_failed"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_HALF_OPENED = "breaker_half_opened"
    BREAKER_CLOSED = "breaker_closed"
    ROLLOUT_STARTED = "rollout_started"
    ROLLOUT_STEP = "rollout_step"
    ROLLOUT_PAUSED = "rollout_paused"
    ROLLOUT_RESUMED = "rollout_resumed"
    ROLLOUT_PROMOTED = "rollout_promoted"
    ROLLOUT_FAILED = "rollout_failed"
    ROLLOUT_ABORTED = "rollout_aborted"
    ROLLOUT_UNDONE = "rollout_undone"
    ROLLOUT_REBASED = "rollout_rebased"
    GATE_OPENED = "gate_opened"
    PIN_RULE_SET = "pin_rule_set"
    PIN_RULE_DROPPED = "pin_rule_dropped"
    CONFIG_UPDATED = "config_updated"
    CONFIG_REFUSED = "config_refused"
    EVENTS_DROPPED = "events_dropped"
    FAULT_INJECTED = "fault_injected"
    INTENT_REPLAYED = "intent_replayed"
    GC_ENABLED = "gc_enabled"
    GC_DISABLED = "gc_disabled"


TROUBLE = frozenset(
    {
        EventKind.LOAD_FAILED,
        EventKind.PATCH_REFUSED,
        EventKind.FAULT,
        EventKind.ROLLED_BACK,
        EventKind.RESTARTED,
        EventKind.PAUSED,
        EventKind.QUARANTINED,
        EventKind.PINS_DROPPED,
        EventKind.ENTITIES_FAILED,
        EventKind.CATCH_UP_SKIPPED,
        EventKind.REQUIREMENT_UNMET,
        EventKind.BAD_GENERATION,
        EventKind.GENERATION_MISSED,
        EventKind.MEMORY_ABANDONED,
        EventKind.PLUGIN_FAILED,
        EventKind.ROLLOUT_FAILED,
        EventKind.PIN_RULE_DROPPED,
        EventKind.CONFIG_REFUSED,
        EventKind.EVENTS_DROPPED,
    }
)
"""The kinds that are logged as warnings."""


@dataclass(frozen=True)
class Event:
    """One thing that happened, to a module, a version, or the engine itself."""

    kind: EventKind
    at: float
    """The injected clock's time, in seconds."""
    module: str | None = None
    version: Version | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    wall: float = field(default_factory=time.time, compare=False)
    """Seconds since 1970 by the machine's clock, when it was made: what other programs know this moment as."""
