"""`grove scenario`: its options; what the scenario itself does is tested with the scenario."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from grove_core.cli.main import main
from grove_core.cli.scenario import coexistence
from grove_core.cli.scenario import scenario as group
from grove_core.scenario.coexistence import TICKS_PER_SECOND


def scenario(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["scenario", *map(str, arguments)])


def test_the_scenarios_are_listed() -> None:
    assert scenario("list").stdout.splitlines()[1].startswith("coexistence ")
    listed = [each["name"] for each in json.loads(scenario("list", "-o", "json").stdout)]
    assert listed[:8] == ["coexistence", "chaos", "stress", "leaks", "error-recovery", "races", "rollout", "mmo"]
    assert set(listed) == set(group.commands) - {"list"}


@pytest.mark.parametrize(
    ("name", "option", "default"),
    [
        ("chaos", "seconds", 300),
        ("chaos", "seed", 1),
        ("chaos", "entities", 100),
        ("stress", "seconds", 600),
        ("stress", "entities", 10_000),
        ("leaks", "cycles", 1000),
        ("races", "loads", 1000),
        ("races", "seed", 1),
        ("rollout", "seeds", 100),
        ("rollout", "entities", 500),
        ("mmo", "players", 100_000),
        ("config", "entities", 1000),
        ("dependencies", "entities", 1000),
        ("multi-module", "entities", 1000),
        ("limits", "megabytes", 120),
    ],
)
def test_the_scenarios_have_their_options(name: str, option: str, default: object) -> None:
    command = group.commands[name]
    assert {each.name: each.default for each in command.params}[option] == default
    assert "json_path" in {each.name for each in command.params}
    assert "Exits with 0 if it PASSED" in " ".join((command.help or "").split())


@pytest.mark.parametrize(
    "arguments", [["chaos", "--entities", "2"], ["chaos", "--seed", "-1"], ["stress", "--seconds", "0"], ["leaks", "7"]]
)
def test_what_does_not_fit_a_scenario_of_reliability_exits_with_2(arguments: list[str]) -> None:
    assert scenario(*arguments).exit_code == 2


@pytest.mark.needs(1, 2, 3)
def test_a_scenario_of_reliability_runs_and_writes_what_it_came_to(tmp_path: Path) -> None:
    path = tmp_path / "leaks.json"
    result = scenario("leaks", "--cycles", 10, "--json", path)
    document = json.loads(path.read_text("utf-8"))
    assert result.exit_code == (document["result"] != "PASSED"), result.stdout
    assert "TEST: Leaks" in result.stdout
    assert document["metrics"]["cycles"] == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["--entities", "0"],
        ["--entities", "many"],
        ["--fault", "flood"],
        ["--ticks-per-second", "0"],
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
    assert result.stderr == f"Error: {path}: tick_deadline_ms must be above 0 and at most 1000000000, not -1.0\n"


@pytest.mark.needs(1, 2, 3)
def test_how_many_ticks_a_second_has_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = scenario("coexistence", "--entities", 10, "--ticks-per-second", 2, "--json", path)
    assert "10 entities, 2 ticks a simulated second" in result.stdout
    document = json.loads(path.read_text("utf-8"))
    assert document["ticks_per_second"] == 2
    assert [phase["ticks"] for phase in document["phases"]] == [20, 80, 80, 20, 40, 60]
    assert document["frames"]["all"]["count"] == 300


def test_without_the_option_there_are_as_many_as_the_scenario_has_by_itself() -> None:
    option = next(option for option in coexistence.params if option.name == "ticks_per_second")
    assert option.default == TICKS_PER_SECOND
