"""Versions written on the spot are packages as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from grove_core import MultiVersionEngine
from grove_core.isolation.process import ProcessIsolation
from grove_core.parts.discovery import records_in
from grove_core.testing import write_version


def test_a_written_version_is_found_by_its_metadata(tmp_path: Path) -> None:
    (record,) = records_in([str(write_version(tmp_path, "ledger", "1.2.0rc1"))])
    assert (record.module, str(record.version), record.error) == ("ledger", "1.2.0rc1", None)
    assert record.entry_point == "ledger_v1_2_0rc1:Main"


def test_written_versions_run_side_by_side(tmp_path: Path, isolation: ProcessIsolation) -> None:
    with MultiVersionEngine(isolation=isolation) as engine:
        for version in ("1.0.0", "2.0.0"):
            engine.load_module_version("ledger", version, path=str(write_version(tmp_path, "ledger", version)))
        engine.spawn("ledger", x=[0.0, 10.0])
        engine.set_traffic_split("ledger", {1: 0.5, 2: 0.5})
        engine.tick(0.25)
        assert sorted(engine.entities("ledger")["x"].tolist()) == [0.25, 10.25]


def test_a_version_is_not_written_over_another(tmp_path: Path) -> None:
    write_version(tmp_path, "ledger", "1.0.0")
    with pytest.raises(FileExistsError):
        write_version(tmp_path, "ledger", "1.0.0")
