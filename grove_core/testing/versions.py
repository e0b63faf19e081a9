"""Version packages written on the spot, for tests that need a version or two to run."""

from __future__ import annotations

import re
from pathlib import Path

PLAIN = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f8")

    def process(self, dt):
        self.entities.x += dt
"""
"""A version that adds `dt` to the column `x`."""


def write_version(folder: Path, module: str, version: str, source: str = PLAIN) -> Path:
    """Write a version package, as `pip install --target` would leave it, and return its folder.

    `engine.load_module_version(module, version, path=str(written))` loads it.

    Args:
        folder: where to write; a folder of its own is made in it.
        module: the module's name.
        version: the version's number, such as "1.0.0".
        source: Python, in which a class `Main` is the version.
    """
    name = import_name(module, version)
    written = folder / name
    info = written / f"{name}-{version}.dist-info"
    (written / name).mkdir(parents=True)
    info.mkdir()
    (written / name / "__init__.py").write_text(source, "utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[grove_core.modules]\n{module} = {name}:Main\n", "utf-8")
    return written


def import_name(module: str, version: str) -> str:
    """Return the name by which a written version is imported."""
    return re.sub(r"\W", "_", f"{module}_v{version}")
