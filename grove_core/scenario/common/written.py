"""Version packages that a scenario writes to disk, as `pip install --target` would."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

Files = dict[str, bytes]
"""Name -> contents, in the order in which they are written."""


def package(module: str, version: str, code: Mapping[str, str], *, needs: str | None = None) -> Files:
    """Return the files of a package that has a version of a module, its RECORD last.

    Args:
        module: the module's name; the import package is called `MODULE_code`, and its class `Main`.
        version: its version.
        code: the files of the import package, `__init__.py` among them.
        needs: a distribution that its metadata requires.
    """
    name, folder = f"grove-{module}-written", f"{module}_code"
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    files = {f"{folder}/{each}": text.encode() for each, text in code.items()}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}".encode()
    files[f"{info}/entry_points.txt"] = f"[grove_core.modules]\n{module} = {folder}:Main\n".encode()
    files[f"{info}/RECORD"] = record(files, f"{info}/RECORD")
    return files


def record(files: Mapping[str, bytes], own: str) -> bytes:
    """Return a RECORD with the hashes of these files; `own` is its name."""
    rows = [f"{name},sha256={_hash(contents)},{len(contents)}\n" for name, contents in files.items() if name != own]
    return "".join([*rows, f"{own},,\n"]).encode()


def write(into: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, one after the other and each in place; return the folder."""
    for name, contents in files.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents)
    return into


def _hash(contents: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).rstrip(b"=").decode()
