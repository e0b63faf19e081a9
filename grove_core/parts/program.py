"""What `grove run` is told: which modules, how often they are ticked, and who makes them ready."""

from __future__ import annotations

import re

import msgspec

from grove_core.base.errors import InvalidRequirement, SettingsError
from grove_core.base.showing import brief
from grove_core.base.versions import specifier

MOST_TICKS = 10_000.0
"""The highest rate, in ticks a second."""
SETUP = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[grove.run]` of a settings file."""

    modules: dict[str, int | str] = {}
    """Module -> the version that is loaded, in this order: a major number, an exact version, or a specifier."""
    setup: str | None = None
    """`package.module:function`: called once with the engine, after the modules are loaded."""
    rate: float = 60.0
    """Ticks a second."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= MOST_TICKS:
            raise SettingsError(f"run.rate must be above 0 and at most {MOST_TICKS:g}, not {brief(self.rate)}")
        if self.setup is not None and not SETUP.fullmatch(self.setup):
            raise SettingsError(f"run.setup must be like package.module:function, not {brief(self.setup)}")
        for module, version in self.modules.items():
            try:
                specifier(version)
            except InvalidRequirement as error:
                raise SettingsError(f"run.modules.{module}: {error.message}") from None
