"""What an engine is told at its start: which parts, which limits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from grove_core.base.configs import config_of
from grove_core.base.errors import InvalidInput, SettingsError
from grove_core.base.limits import Limits
from grove_core.base.showing import brief
from grove_core.base.ways import MemoryKind
from grove_core.parts.choice import Choice as Choice
from grove_core.parts.plan_tables import plans_of
from grove_core.parts.plans import Plan
from grove_core.parts.program import Program

LARGEST = 16 * 1024
"""The largest settings file, in bytes. What tomllib needs for a name of many parts, a.b.c, grows with their square."""
MOST: Mapping[str, int] = {
    "tick_deadline_ms": 10**9,
    "service_deadline_ms": 10**9,
    "load_deadline_seconds": 10**6,
    "idle_deadline_seconds": 10**6,
    "max_entities": 1 << 40,
    "sample_interval_seconds": 10**9,
}
"""The highest values of numbers, which are above 0: eleven days are the longest that the system can wait."""

MOST_OR_NONE: Mapping[str, int] = {"keep_generations": 10**6, "generation_interval_seconds": 10**9}
"""The highest values of numbers that may be 0."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of one engine; in a file they stand in the table `[grove]` of `grove.toml`."""

    router: Choice = Choice("quota")
    migrators: tuple[Choice, ...] = ()
    """Asked in this order where no chain of lenses joins two versions."""
    gc_policy: Choice = Choice("idle")
    fault_policy: Choice = Choice("immediate")
    isolation: Choice = Choice("process")
    holds: tuple[str, ...] = ("stable",)
    validators: tuple[Choice, ...] = ()
    """Asked in this order whether what a version wrote may be committed."""
    judges: tuple[Choice, ...] = (Choice("evidence"),)
    """What a rollout asks about its canary, unless its plan lists others; the worst verdict counts."""
    memory: MemoryKind = MemoryKind.MEMFD
    """What columns lie in: `memfd`, or `file` where the system has none."""
    tick_deadline_ms: float = 250.0
    """How long one version may take for one tick."""
    service_deadline_ms: float = 100.0
    """How long one version may take to answer a call of a service."""
    load_deadline_seconds: float = 10.0
    """How long a version may take from the order to load until it is ready."""
    idle_deadline_seconds: float = 1.0
    """How long an unload waits for `is_idle`, and a worker gets for its `shutdown`."""
    limits: Limits = Limits()
    """What each version may take, unless other limits are given when it is loaded."""
    max_entities: int = 1 << 24
    """The largest population of one version. Address space is reserved for it, no memory."""
    keep_generations: int = 0
    """How many older states of each module are kept, besides the two that are always there."""
    generation_interval_seconds: float = 0.0
    """How far apart these are at least, by the clock; 0: one before every tick."""
    sinks: tuple[Choice, ...] = (Choice("structlog"),)
    """Where events and samples go, besides the engine's own memory of the latest events."""
    sample_interval_seconds: float = 1.0
    """How far apart samples are, by the clock; made only where a sink takes them."""

    config: dict[str, dict[str, Any]] = {}
    """The configs of modules, by name: for versions that are loaded without one."""

    rollout: str = "canary"
    """The plan of rollouts that are started without one: the name of one of `rollouts`, or of a ready-made one."""
    rollouts: dict[str, Any] = {}
    """Plans by name: as tables, see `grove_core.parts.plan_tables`, or as `Plan`."""
    run: Program = Program()
    """What `grove run` does."""

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            value = getattr(self, name)
            if not 0 < value <= most:
                raise SettingsError(f"{name} must be above 0 and at most {most}, not {brief(value)}")
        for name, most in MOST_OR_NONE.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise SettingsError(f"{name} must be from 0 to {most}, not {brief(value)}")
        try:
            MemoryKind(self.memory)
        except ValueError as error:
            raise SettingsError(f"memory: {error}") from None
        for module, table in self.config.items():
            try:
                config_of(table)
            except InvalidInput as error:
                raise SettingsError(f"config.{module}: {error.message}") from None
        if self.rollout not in self.plans:
            raise SettingsError(f"rollout: there is no plan {brief(self.rollout)}; there are: {', '.join(self.plans)}")

    @property
    def plans(self) -> dict[str, Plan]:
        """Every plan by its name, the ready-made ones among them.

        Raises:
            InvalidPlan: with every mistake, and its path; never once the settings are made.
        """
        return plans_of(self.rollouts)

    @classmethod
    def read(cls, path: str | Path) -> Settings:
        """Read the table `[grove]` of a TOML file; what is not there keeps its default.

        A part is chosen by its name, or by a table with `use` and its options:
        `router = {use = "ring", load = 1.25}`; several in a list: `migrators = ["by_name", {use = "other"}]`.

        Raises:
            SettingsError: the file cannot be read or parsed, or a value does not fit; with its path.
        """
        try:
            document = tomllib.loads(_text(path))
        except RecursionError as error:
            raise SettingsError(f"{path}: it is nested too deeply") from error
        except (OSError, ValueError) as error:  # ValueError: also a number of more digits than Python reads
            raise SettingsError(f"{path}: {error}") from error
        table = document.get("grove", {})
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: `grove` must be a table, [grove]")
        kinds = cls.__annotations__
        try:
            return msgspec.convert({key: _value(kinds.get(key), value) for key, value in table.items()}, cls)
        except (msgspec.ValidationError, InvalidInput) as error:
            raise SettingsError(f"{path}: {error}") from error


def _text(path: str | Path) -> str:
    """Read a settings file, as far as one may go.

    Raises:
        OSError, ValueError: it cannot be read, is no text, or is too large.
    """
    with Path(path).open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    return content.decode("utf-8")


def _value(kind: str | None, value: Any) -> Any:
    """Write what was chosen as `Choice` has it; what does not fit is left for the error to show."""
    if kind == "Choice":
        return _choice(value)
    if kind == "tuple[Choice, ...]" and isinstance(value, list):
        return [_choice(each) for each in value]
    return value


def _choice(value: Any) -> Any:
    if isinstance(value, str):
        return {"use": value}
    if isinstance(value, dict):
        return {"use": value.get("use"), "options": {k: v for k, v in value.items() if k != "use"}}
    return value
