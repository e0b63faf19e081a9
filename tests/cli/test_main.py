"""The command `grove` itself: help, versions of errors, exit codes, and what it imports."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import click
import pytest
from click.testing import CliRunner

from grove_core.base import errors
from grove_core.base.errors import (
    GroveError,
    InvalidRequirement,
    LoadFailed,
    SchemaError,
    UnknownModule,
    UnloadRefused,
)
from grove_core.cli import main as main_module
from grove_core.cli.exits import ExitCode, exit_code
from grove_core.cli.main import COMMANDS, LazyGroup, main

RUN = "from grove_core.cli.main import main; main(prog_name='grove')"


def every_command(command: click.Command, name: str = "grove") -> list[tuple[str, click.Command]]:
    commands = [(name, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            assert child is not None
            commands += every_command(child, f"{name} {each}")
    return commands


EVERY = every_command(main)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['grove', '--help']\n"
        "import click, numpy, msgspec\nbefore = set(sys.modules)\n"
        f"try:\n    {RUN}\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('MODULES', *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    shown, _, loaded = done.stdout.partition("MODULES")
    assert "versions" in shown
    heavy = {"rich", "pluggy", "importlib_metadata", "structlog", "packaging"}
    names = loaded.split()
    assert "grove_core.cli.main" in names
    assert not [name for name in names if name.split(".")[0] in heavy]
    assert not [name for name in names if name.startswith(("grove_core.parts", "grove_core.engine"))]


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_command_and_every_option_has_its_help(name: str, command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_every_subcommand_is_where_the_group_says_it_is() -> None:
    context = click.Context(main)
    for name, lazy in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").startswith(lazy.summary)
    assert main.get_command(context, "nothing") is None


def test_version_is_the_distributions() -> None:
    try:
        expected = version("grove-core")
    except PackageNotFoundError:
        pytest.skip("grove-core is on the path, but not installed")
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"grove {expected}\n"


@pytest.mark.parametrize("arguments", [["nothing"], ["--nothing"], ["versions", "-o", "xml"], ["versions", "a", "b"]])
def test_a_wrong_command_line_exits_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "Error:" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownModule("x"), 3),
        (UnloadRefused("x"), 4),
        (InvalidRequirement("x"), 2),
        (SchemaError("x"), 1),
        (LoadFailed("x"), 1),
        (GroveError("x"), 1),
    ],
)
def test_an_error_of_ours_is_one_line_and_a_code(error: GroveError, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    error.message = "what\n  where\twhy"

    @click.command()
    def fails() -> None:
        """Fail."""
        raise error

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: fails)
    result = CliRunner().invoke(main_module.main, ["fails"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr == "Error: what where why\n"


def test_every_error_has_a_code_that_is_not_success() -> None:
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, GroveError):
            assert exit_code(each("x")) is not ExitCode.OK


def test_an_error_that_is_not_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fails() -> None:
        """Fail."""
        raise ZeroDivisionError

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: fails)
    assert isinstance(CliRunner().invoke(main, ["fails"]).exception, ZeroDivisionError)
