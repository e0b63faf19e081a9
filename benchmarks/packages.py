"""Version packages that are written on the spot, as `pip install --target` would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SOURCE = """
import numpy as np
from grove_core import Module, Schema

class Main(Module):
    schema = Schema({schema})

    def process(self, dt):
        e = self.entities
{process}
"""

STATE: Mapping[str, str] = {"x": "f4", "y": "f4", "vx": "f4", "vy": "f4", "mass": "f4", "collided": "?"}
"""The columns of a version of everyday size: 21 bytes an entity."""
STATE_BYTES = 21

NOTHING = "pass"

WORK = """
e.vy += 9.8 * dt
e.x += e.vx * dt
e.y += e.vy * dt
e.mass *= 0.999
np.greater(e.x, 1000, out=e.collided)
"""
"""Statements that write every column of STATE but vx."""


def write_versions(
    into: Path,
    module: str,
    majors: Iterable[int],
    columns: Mapping[str, str],
    process: str = NOTHING,
    constant: Iterable[str] = (),
) -> str:
    """Write versions of one module that have the same columns and do the same; return the folder for `path=`."""
    lines = "\n".join(f"        {line}" for line in process.strip().splitlines())
    pairs = ", ".join(f"{name}={dtype!r}" for name, dtype in columns.items())
    source = SOURCE.format(schema=f"{pairs}, constant={tuple(constant)!r}", process=lines)
    for major in majors:
        write_version(into, module, f"{major}.0.0", source)
    return str(into)


def write_version(into: Path, module: str, version: str, source: str) -> None:
    """Write a version with this source."""
    distribution, package = f"grove-{module}-v{version}", f"{module}_v{version.replace('.', '_')}"
    stem = f"{distribution.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{package}/__init__.py": source,
        f"{stem}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{stem}/entry_points.txt": f"[grove_core.modules]\n{module} = {package}:Main\n",
    }
    for name, text in files.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
