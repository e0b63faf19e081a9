"""`grove versions`: which versions are installed, and what is wrong with the broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from grove_core.base.errors import UnknownModule
from grove_core.base.records import VersionRecord
from grove_core.cli.output import Output, output_option, show_json, show_table, warn
from grove_core.parts.discovery import collect, records_in
from grove_core.parts.plugins import make_plugin_manager

TITLES = ("module", "version", "distribution", "entry point", "location", "broken because")


@click.command()
@click.argument("module", required=False)
@click.option(
    "--path",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Look into this folder, as `pip install --target` fills it, not at what is installed. Repeatable.",
)
@output_option
def versions(module: str | None, folders: Sequence[str], output: str) -> None:
    """Show the versions that are installed.

    Of every module, or of MODULE. They are read from metadata, and nothing is imported. What is broken is
    shown with its cause.
    """
    records = records_in(folders) if folders else _installed()
    if module is not None:
        known = sorted({record.module for record in records})
        records = [record for record in records if record.module == module]
        if not records:
            raise UnknownModule(f"no version of it was found; there are: {', '.join(known) or 'none'}", module=module)
    if Output(output) is Output.JSON:
        show_json([_document(record) for record in records])
    elif records:
        show_table(TITLES, [_row(record) for record in records])
    else:
        click.echo("No versions were found. A version is a package with an entry point in grove_core.modules.")


def _installed() -> list[VersionRecord]:
    manager, plugins = make_plugin_manager()
    for plugin in plugins:
        if plugin.error:
            warn(f"the plugin {plugin.name} cannot be loaded: {plugin.error}")
    records, failures = collect(manager)
    for failure in failures:
        warn(failure)
    return records


def _row(record: VersionRecord) -> Sequence[str]:
    return (
        record.module,
        str(record.version or "?"),
        record.distribution,
        record.entry_point,
        record.location,
        record.error or "",
    )


def _document(record: VersionRecord) -> dict[str, Any]:
    return asdict(record) | {"version": None if record.version is None else str(record.version)}
