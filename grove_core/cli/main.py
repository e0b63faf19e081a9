"""The command `grove`. A subcommand is imported when it is called, so that `grove --help` answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from grove_core.base.errors import GroveError
from grove_core.cli.exits import ExitCode, exit_code, in_short


@dataclass(frozen=True)
class Lazy:
    """Where a subcommand is, and its line in the help, for which it need not be imported."""

    module: str
    name: str
    summary: str


COMMANDS: Mapping[str, Lazy] = {
    "dev": Lazy("grove_core.cli.dev", "dev", "Run a version from its source, and patch it whenever it is saved."),
    "events": Lazy("grove_core.cli.events", "events", "Show what an engine wrote down of what happened."),
    "plugins": Lazy("grove_core.cli.plugins", "plugins", "Show the plugins and the parts they register."),
    "report": Lazy("grove_core.cli.report", "report", "Write a page about a module's rollouts."),
    "run": Lazy("grove_core.cli.run", "run", "Run an engine as a settings file says, until it is ended."),
    "scenario": Lazy("grove_core.cli.scenario", "scenario", "Run a scenario, and see whether it passes."),
    "versions": Lazy("grove_core.cli.versions", "versions", "Show the versions that are installed."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called, and tells a `GroveError` in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand; None if there is no such name."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        command: click.Command = getattr(import_module(lazy.module), lazy.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the subcommands' lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand that was named."""
        try:
            return super().invoke(ctx)
        except GroveError as error:
            click.echo(f"Error: {in_short(error)}", err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(ExitCode.INTERRUPTED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grove-core", prog_name="grove", message="%(prog)s %(version)s")
def main() -> None:
    """Several versions of one stateful module, side by side in a live system.

    Exit codes: 0 all went well, 1 something failed, 2 the command line or a value is wrong,
    3 what was named does not exist, 4 refused for now, 130 interrupted.
    """
