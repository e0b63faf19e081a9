"""What the README and the guide show runs as it stands, and what they name is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from grove_core import DebugEngine, MultiVersionEngine, Plan, Settings
from grove_core.base.rollouts import RolloutState
from grove_core.configs.room import Configs
from grove_core.debug.breaks import RunEnd
from grove_core.parts.plans import READY
from grove_core.parts.plugins import PartKind
from grove_core.rollouts.room import Rollouts
from grove_core.sinks.log import LogLevel

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text("utf-8")
ROLLOUTS = (ROOT / "docs" / "rollouts.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def runs(code: str) -> None:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.needs(1, 2)
def test_the_readme_s_program_runs() -> None:
    (program,) = [block for block in blocks(README, "python") if "MultiVersionEngine" in block]
    runs(program)


def test_the_readme_s_version_can_be_written_like_that() -> None:
    (version,) = [block for block in blocks(README, "python") if "class GameLogic" in block]
    runs(
        version + "\nfrom grove_core import Entities\n"
        "m = GameLogic(); m.entities = Entities.of(GameLogic.schema, id=[1, 2], x=[0, 1001])\n"
        "m.process(0.5); assert m.entities.collided.tolist() == [False, True]\n"
    )


def test_the_guide_s_router_keeps_the_contract() -> None:
    (plugin,) = [block for block in blocks(GUIDE, "python") if "class Lowest" in block]
    runs(
        plugin + "\nfrom types import SimpleNamespace\n"
        "asked = SimpleNamespace(ids=np.array([5, 1, 9]))\n"
        "assert Lowest().route(asked, np.array([1, 2])).tolist() == [1, 0, 1]\n"
        "assert grove_register_routers() == {'lowest': Lowest}\n"
    )


def test_the_guide_s_settings_are_settings(tmp_path: Path) -> None:
    shown, *examples = blocks(GUIDE, "toml")
    file = tmp_path / "grove.toml"
    file.write_text(shown)
    assert Settings.read(file) == Settings(), "the guide shows the defaults"
    for example in examples:
        file.write_text(example)
        with MultiVersionEngine(Settings.read(file)) as engine:
            assert engine.settings != Settings()
    assert set(tomllib.loads(shown)["grove"]) == set(Settings.__struct_fields__), "and all of them"


def test_the_guide_names_every_call_of_the_engine() -> None:
    calls = {name for name in dir(MultiVersionEngine) if not name.startswith("_")}
    assert {
        call for call in calls - {"close", "versions", "settings", "faults_allowed"} if f"`{call}" not in GUIDE
    } == set()


def test_the_guide_names_every_call_on_configs() -> None:
    calls = {name for name in vars(Configs) if not name.startswith("_")}
    assert {call for call in calls if f"`{call}(" not in GUIDE} == set()


@pytest.mark.needs(1, 2)
def test_the_page_on_rollouts_runs_and_names_every_call_state_and_option(tmp_path: Path) -> None:
    (program,) = blocks(ROLLOUTS, "python")
    runs(program)
    calls = {name for name in vars(Rollouts) if not name.startswith("_")}
    assert {call for call in calls if f"`{call}" not in ROLLOUTS} == set()
    assert {state for state in RolloutState if f"`{state}`" not in ROLLOUTS} == set()
    options = {field.name for field in fields(Plan)} - {"name", "steps"}
    assert {option for option in options if f"| `{option}` |" not in ROLLOUTS} == set()
    assert {name for name in READY if f"| `{name}`" not in ROLLOUTS} == set()
    for example in blocks(ROLLOUTS, "toml"):
        (tmp_path / "grove.toml").write_text(example)
        settings = Settings.read(tmp_path / "grove.toml")
        assert settings.rollout == "careful"
        assert len(settings.plans["slow"].steps) == 4


@pytest.mark.needs(1, 2)
def test_the_guide_s_debugging_session_runs_and_all_calls_are_named() -> None:
    (session,) = [block for block in blocks(GUIDE, "python") if "DebugEngine" in block]
    runs(session)
    calls = {name for name in dir(DebugEngine) if not name.startswith("_")} - set(dir(MultiVersionEngine))
    assert {call for call in calls if f"`{call}" not in GUIDE and f"engine.{call}" not in GUIDE} == set()
    assert {end for end in RunEnd if f"`{end}`" not in GUIDE} == set()
    assert {level for level in LogLevel if f"`{level}`" not in GUIDE} == set()


def test_every_kind_of_part_is_chosen_by_a_setting() -> None:
    for kind in PartKind:
        assert {kind.value, f"{kind.value}s"} & set(Settings.__struct_fields__)


def test_ci_runs_the_readme_s_test_command() -> None:
    commands = [line for block in blocks(README, "console") for line in block.splitlines() if "tox" in line]
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text("utf-8")
