"""A settings file that does not fit says which file, where, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from grove_core.base.errors import SettingsError
from grove_core.parts.settings import Choice, Settings


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "grove.toml"
    path.write_text(text, "utf-8")
    return Settings.read(path)


def test_what_is_not_there_keeps_its_default(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Settings()
    assert read(tmp_path, "[grove]\n[tool.other]\nx = 1\n") == Settings()


def test_a_part_is_chosen_by_name_or_with_options(tmp_path: Path) -> None:
    text = '[grove]\nrouter = {use = "ring", load = 1.25}\ngc_policy = "eager"\nholds = ["stable", "mine"]\n'
    settings = read(tmp_path, text + "tick_deadline_ms = 40\n")
    assert settings.router == Choice("ring", {"load": 1.25})
    assert settings.gc_policy == Choice("eager")
    assert settings.holds == ("stable", "mine")
    assert settings.tick_deadline_ms == 40.0
    assert settings.fault_policy == Settings().fault_policy


def test_migrators_are_a_list_of_choices_in_their_order(tmp_path: Path) -> None:
    settings = read(tmp_path, '[grove]\nmigrators = ["by_name", {use = "metres", factor = 100}, {use = "by_name"}]\n')
    assert settings.migrators == (Choice("by_name"), Choice("metres", {"factor": 100}), Choice("by_name"))
    assert Settings().migrators == ()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[grove]\nmigrators = 'by_name'\n", r"\$\.migrators"),
        ("[grove]\nmigrators = ['by_name', 3]\n", r"\$\.migrators\[1\]"),
        ("[grove]\nmigrators = [{factor = 1}]\n", r"\$\.migrators\[0\]"),
        ("[grove]\nspeed = 1\n", "speed"),
        ("[grove]\ntick_deadline_ms = 'fast'\n", r"\$\.tick_deadline_ms"),
        ("[grove]\nrouter = {load = 1}\n", r"\$\.router"),
        ("[grove]\nrouter = 3\n", r"\$\.router"),
        ("[grove]\nholds = [1]\n", r"\$\.holds\[0\]"),
        ("[grove]\nmax_entities = 0\n", "max_entities must be above 0"),
        ("[grove]\ntick_deadline_ms = nan\n", "tick_deadline_ms must be above 0"),
        ("[grove]\nload_deadline_seconds = -1\n", "load_deadline_seconds must be above 0"),
        ("[grove]\ntick_deadline_ms = inf\n", "tick_deadline_ms must be above 0 and at most 1000000000, not inf"),
        ("[grove]\nload_deadline_seconds = 1e7\n", "load_deadline_seconds must be above 0 and at most 1000000, not"),
        (f"[grove]\nmax_entities = {1 << 41}\n", "max_entities must be above 0 and at most"),
        (f"[grove]\nmax_entities = 0x{'f' * 5000}\n", "max_entities must be above 0 and at most"),
        (f"[grove]\nmax_entities = {'9' * 5000}\n", "digits"),
        (f"[grove]\nholds = {'[' * 2000}\n", "nested too deeply"),
        (f"# {'x' * 20_000}\n", "more than 16384 bytes"),
        ("grove = 3\n", "must be a table"),
        ("[grove\n", "line 1"),
    ],
)
def test_what_does_not_fit_says_where(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(SettingsError, match=rf"grove\.toml: .*{cause}"):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        Settings.read(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"bytes\.toml"):
        Settings.read(tmp_path / "bytes.toml")


def test_settings_made_in_a_program_are_held_to_the_same_rules() -> None:
    with pytest.raises(SettingsError, match="idle_deadline_seconds must be above 0 and at most 1000000, not 0"):
        Settings(idle_deadline_seconds=0)
