"""`grove scenario`: its options; what the scenario itself does is tested with the scenario."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from grove_core.cli.main import main


def scenario(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["scenario", *map(str, arguments)])


def test_the_scenarios_are_listed() -> None:
    assert scenario("list").stdout.splitlines()[1].startswith("coexistence  Three versions")
    (one,) = json.loads(scenario("list", "-o", "json").stdout)
    assert one["name"] == "coexistence"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--entities", "0"],
        ["--entities", "many"],
        ["--fault", "flood"],
        ["--settings", "/nowhere/grove.toml"],
        ["extra"],
    ],
)
def test_options_that_do_not_fit_exit_with_2(arguments: list[str]) -> None:
    result = scenario("coexistence", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr


def test_settings_that_do_not_fit_are_told_with_their_file(tmp_path: Path) -> None:
    path = tmp_path / "grove.toml"
    path.write_text("[grove]\ntick_deadline_ms = -1\n")
    result = scenario("coexistence", "--settings", path)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {path}: tick_deadline_ms must be above 0, not -1.0\n"
