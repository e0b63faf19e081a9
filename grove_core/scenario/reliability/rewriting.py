"""A process that rewrites a package while it is loaded, as editors, copies and installers do: file by file.

Started as `python -m grove_core.scenario.reliability.rewriting`. Each line of its input is an order, each of its output
tells when the writing began and ended.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from grove_core.scenario.common.written import Files, package

if TYPE_CHECKING:
    from types import TracebackType

MODULE = "racer"
VERSION = "1.0.0"
PAUSE_SECONDS = 0.003
"""The longest pause between two writes."""
ANSWER_SECONDS = 30.0
PADDING = "# what a longer file has in its middle, so that its end comes with another write\n" * 200
CODE = {
    "__init__.py": """
from grove_core import Module, Schema
from .left import LEFT
from .right import RIGHT

class Main(Module):
    schema = Schema(left="i8", right="i8", here="i8")

    def process(self, dt):
        e = self.entities
        e.left, e.right, e.here = LEFT, RIGHT, OWN

{padding}
OWN = {number}
""",
    "left.py": "{padding}\nLEFT = {number}\n",
    "right.py": "{padding}\nRIGHT = {number}\n",
}
"""Three files that tell their number; only if all three tell the same one are they of one writing."""


class Manner(StrEnum):
    """How files are written anew."""

    IN_PLACE = "in_place"
    """Each is emptied, and written in two halves."""
    REPLACE = "replace"
    """Each is written beside, and put in place at once."""
    REINSTALL = "reinstall"
    """Everything is removed, and written anew."""


class Order(msgspec.Struct, frozen=True):
    """What is to be written, and how."""

    folder: str
    number: int
    manner: Manner
    with_record: bool
    """Whether a RECORD tells the hashes of its files."""
    delay: float
    """Seconds until it begins."""
    seed: int


class Written(msgspec.Struct, frozen=True):
    """When a writing began and ended, by the monotonic clock of the machine."""

    began: float
    ended: float
    longest_pause: float
    """The longest time between two changes, in seconds; the machine may have made it longer than was drawn."""


class Writer:
    """The writing process, as the scenario has it: a context."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def order(self, order: Order) -> None:
        """Have it write; it does so while this process does something else."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()

    def wait(self) -> Written:
        """Wait until it has done what it was last told.

        Raises:
            msgspec.DecodeError: it has ended.
        """
        assert self._process.stdout is not None
        return msgspec.json.decode(self._process.stdout.readline(), type=Written)


def files(number: int, *, with_record: bool) -> Files:
    """Return the files of one writing."""
    code = {name: text.format(number=number, padding=PADDING) for name, text in CODE.items()}
    made = package(MODULE, VERSION, code)
    return made if with_record else {name: text for name, text in made.items() if not name.endswith("/RECORD")}


class Pauses:
    """Takes the time between changes."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.monotonic()

    def changed(self) -> None:
        """Note that a change was made just now."""
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last)
        self._last = now


def rewrite(order: Order, pauses: Pauses) -> None:
    """Write what is ordered, in an order of files and with pauses that are drawn."""
    chance, root = random.Random(order.seed), Path(order.folder)  # noqa: S311  no secret hangs by it
    made = list(files(order.number, with_record=order.with_record).items())
    chance.shuffle(made)
    if order.manner is Manner.REINSTALL:
        for child in sorted(root.iterdir()):
            shutil.rmtree(child)
            pauses.changed()
    for name, contents in made:
        time.sleep(chance.uniform(0, PAUSE_SECONDS))
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if order.manner is Manner.REPLACE:
            beside = target.with_name(f"{target.name}.new")
            beside.write_bytes(contents)
            beside.replace(target)
        else:
            _write_in_halves(target, contents, chance.uniform(0, PAUSE_SECONDS), pauses)
        pauses.changed()


def _write_in_halves(target: Path, contents: bytes, pause: float, pauses: Pauses) -> None:
    with target.open("wb", buffering=0) as file:
        pauses.changed()
        file.write(contents[: len(contents) // 2])
        pauses.changed()
        time.sleep(pause)
        file.write(contents[len(contents) // 2 :])


def serve() -> None:
    """Do what each line says, until there are no more."""
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        time.sleep(order.delay)
        began = time.monotonic()
        pauses = Pauses()
        rewrite(order, pauses)
        os.write(1, msgspec.json.encode(Written(began, time.monotonic(), pauses.longest)) + b"\n")


if __name__ == "__main__":
    serve()
