"""`grove plugins`: which plugins there are, what each registers, and what is wrong with the broken ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import click
import pluggy

from grove_core.base.errors import PluginFailed
from grove_core.cli.output import Output, output_option, show_json, show_table
from grove_core.parts.plugins import PartKind, PluginRecord, each_result, make_plugin_manager

TITLES = ("plugin", "distribution", "parts", "broken because")
DISCOVERY = "grove_discover_versions"


@dataclass
class Shown:
    """One plugin as it is shown: its parts by kind, and every cause for complaint."""

    plugin: str
    distribution: str
    entry_point: str
    parts: dict[str, list[str]] = field(default_factory=dict)
    versions: int | None = None
    """How many versions it discovers; None if it does not discover."""
    errors: list[str] = field(default_factory=list)


@click.command()
@output_option
def plugins(output: str) -> None:
    """Show the plugins and the parts they register.

    What is broken is shown with its cause. Settings choose among the parts by name. A name that two plugins
    register is shown with both.
    """
    manager, records = make_plugin_manager()
    shown = inspected(manager, records)
    if Output(output) is Output.JSON:
        show_json([asdict(each) for each in shown])
    elif shown:
        show_table(TITLES, [_row(each) for each in shown])
    else:
        click.echo("No plugins were found: grove-core itself is not installed, only on the path.")


def inspected(manager: pluggy.PluginManager, records: Sequence[PluginRecord]) -> list[Shown]:
    """Ask each plugin for its parts; what it raises becomes one of its errors."""
    shown = {
        each.name: Shown(each.name, each.distribution, each.entry_point, errors=[each.error] if each.error else [])
        for each in records
    }
    owners: defaultdict[tuple[PartKind, str], list[str]] = defaultdict(list)
    for kind in PartKind:
        for plugin, result in each_result(manager, kind.hook):
            if isinstance(result, PluginFailed):
                shown[plugin].errors.append(result.message)
                continue
            shown[plugin].parts[kind.value] = sorted(result)
            for name in result:
                owners[kind, name].append(plugin)
    for plugin, result in each_result(manager, DISCOVERY):
        if isinstance(result, PluginFailed):
            shown[plugin].errors.append(result.message)
        else:
            shown[plugin].versions = len(result)
    for (kind, name), rivals in owners.items():
        for plugin in rivals if len(rivals) > 1 else ():
            both = " and ".join(rivals)
            shown[plugin].errors.append(f"the {kind.value} {name!r} is registered by {both}; uninstall one")
    return list(shown.values())


def _row(shown: Shown) -> Sequence[str]:
    parts = [f"{kind}: {', '.join(names)}" for kind, names in shown.parts.items()]
    if shown.versions is not None:
        parts.append(f"versions: {shown.versions}")
    return (shown.plugin, shown.distribution, "; ".join(parts), "; ".join(shown.errors))
