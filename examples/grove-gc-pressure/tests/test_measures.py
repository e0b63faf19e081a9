"""How pressure is read from the files that Linux writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grove_gc_pressure", reason="grove-gc-pressure is not installed")

from grove_gc_pressure.measures import stalled, used


@pytest.mark.parametrize(("available", "share"), [(1000, 0.0), (500, 0.5), (100, 0.9), (0, 1.0)])
def test_the_machine_s_memory_counts_where_there_is_no_group(machine: Any, available: int, share: float) -> None:
    machine.meminfo(1000, available)
    assert used(machine.root) == pytest.approx(share)


def test_a_group_s_limit_counts_more_than_the_machine(machine: Any) -> None:
    machine.inside("/")
    machine.group("/", 1000, 900)
    assert used(machine.root) == pytest.approx(0.9)


def test_cache_that_can_be_dropped_is_no_use(machine: Any) -> None:
    machine.inside("/service")
    machine.group("/service", 1000, 900, inactive_file=600)
    assert used(machine.root) == pytest.approx(0.3)


def test_of_groups_in_groups_the_fullest_counts(machine: Any) -> None:
    machine.inside("/slice/service")
    machine.group("/slice/service", 1000, 200)
    machine.group("/slice", 2000, 1500)
    machine.group("/elsewhere", 1000, 999)
    assert used(machine.root) == pytest.approx(0.75)


def test_a_group_without_a_limit_leaves_the_machine(machine: Any) -> None:
    machine.inside("/slice/service")
    machine.group("/slice/service", None, 900)
    machine.group("/slice", None, 900)
    assert used(machine.root) == pytest.approx(0.5)


def test_groups_of_the_first_version_are_not_read(machine: Any) -> None:
    machine.write("proc/self/cgroup", "4:memory:/service\n1:name=systemd:/service\n")
    machine.group("/service", 1000, 1000)
    assert used(machine.root) == pytest.approx(0.5)


@pytest.mark.parametrize("percent", [0.0, 12.34, 100.0])
def test_stalls_are_a_share_of_time(machine: Any, percent: float) -> None:
    machine.stalled(percent)
    assert stalled(machine.root) == pytest.approx(percent / 100)


def test_what_cannot_be_read_is_told(machine: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pressure"):
        stalled(machine.root)
    machine.write("proc/pressure/memory", "full avg10=0.00\n")
    with pytest.raises(ValueError, match="no line `some`"):
        stalled(machine.root)
    machine.write("proc/meminfo", "MemFree: 12 kB\n")
    with pytest.raises(ValueError, match="MemAvailable"):
        used(machine.root)
    with pytest.raises(FileNotFoundError, match="meminfo"):
        used(tmp_path)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="this is no Linux")
def test_this_machine_is_read() -> None:
    assert 0 < used(Path("/")) < 1


@pytest.mark.skipif(not Path("/proc/pressure/memory").exists(), reason="this kernel tells of no stalls")
def test_this_machine_s_stalls_are_read() -> None:
    assert 0 <= stalled(Path("/")) <= 1
