"""A `grove.toml` that an engine watches while it is written: well, badly, and piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from grove_core.scenario.modules.turrets import MODULE

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine

BAD: Mapping[str, tuple[bytes | None, tuple[str, ...]]] = {
    "no TOML": (b"[grove.config", ("grove.toml",)),
    "no text": (b"\xff\xfe[grove]", ("grove.toml",)),
    "no setting": (b"[grove]\nrate = 2\n", ("rate", "grove.toml")),
    "two mistakes": (
        f"[grove.config.{MODULE}]\nrate = -1\namor = 1\n".encode(),
        ("rate: Expected", "amor: there is no such key"),
    ),
    "no file": (None, ("grove.toml",)),
}
"""What is wrong -> the contents, None where there is no file, and what must be told."""


class SettingsFile:
    """The file, watched as long as the context lasts.

    Args:
        engine: watches it.
        folder: where it is.
        config: of the module, to begin with.
    """

    def __init__(self, engine: DebugEngine, folder: Path, config: Mapping[str, Any]) -> None:
        self._engine, self._path = engine, folder / "grove.toml"
        self._second = 1_000_000_000
        self.write(config, in_place=True)

    def __enter__(self) -> Self:
        self._engine.config.watch(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.config.unwatch()

    def write(self, config: Mapping[str, Any], *, in_place: bool) -> None:
        """Write the module's config, into the file itself or beside it, to be moved there."""
        if in_place:
            self.put(text_of(config))
            return
        beside = self._path.with_name("beside")
        beside.write_bytes(text_of(config))
        beside.replace(self._path)

    def put(self, contents: bytes | None) -> None:
        """Write this in place, as if seconds lay between it and what was there; or remove the file."""
        if contents is None:
            self._path.unlink()
            return
        self._path.write_bytes(contents)
        self._second += 1
        os.utime(self._path, (self._second, self._second))

    def pieces(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Write the module's config piece by piece, with a pause after each."""
        text = text_of(config)
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            self.put(text[: round(part * len(text))])
            yield


def text_of(config: Mapping[str, Any]) -> bytes:
    """Return the contents of a settings file that has this config for the module."""
    lines = (f"{_toml(key)} = {_toml(value)}\n" for key, value in config.items())
    return f"[grove.config.{MODULE}]\n{''.join(lines)}".encode()


def _toml(value: Any) -> str:
    """Write a value; but for tables JSON and TOML write those alike that a config has."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(key)} = {_toml(each)}' for key, each in value.items())}}}"
    return json.dumps(value)
