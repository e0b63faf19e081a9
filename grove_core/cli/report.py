"""`grove report`: what became of a module's rollouts, as a page."""

from __future__ import annotations

from pathlib import Path

import click

from grove_core.base.errors import GroveError, NotFound
from grove_core.sinks.jsonl import PATH
from grove_core.sinks.reading import read_events


@click.command()
@click.argument("module")
@click.option(
    "--events",
    "source",
    type=click.Path(path_type=Path),
    default=PATH,
    show_default=True,
    help="What the sink `jsonl` wrote; files that it was rotated to are read too.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where the page goes.  [default: MODULE-report.html]")
@click.option("--rollout", type=click.IntRange(min=1), help="The number of the rollout; else it is the latest.")
def report(module: str, source: Path, out: Path | None, rollout: int | None) -> None:
    """Write a page about a module's rollouts.

    One HTML file that needs nothing else: what became of the latest rollout, charts of it, every decision with its
    reason and its evidence, the versions side by side, and the other rollouts in short.
    """
    # numpy and the rest come with these.
    from grove_core.reporting.history import history
    from grove_core.reporting.page import page

    try:
        text = page(history(module, read_events(source)), rollout, str(source))
    except FileNotFoundError:
        raise NotFound(f"{source}: there is no such file; the sink `jsonl` writes one") from None
    except OSError as error:
        raise GroveError(f"{source} cannot be read: {error.strerror}") from error
    target = Path(f"{module}-report.html") if out is None else out
    try:
        target.write_text(text, "utf-8")
    except OSError as error:
        raise GroveError(f"{target} cannot be written: {error.strerror}; --out says where the page goes") from error
    click.echo(f"{target}: {len(text.encode()) / 1000:,.0f} kB")
