"""What it costs to keep a rule true."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.figures import Series, Taken, Who, taken
from benchmarks.measuring import clocked, sample, together
from benchmarks.packages import write_versions
from benchmarks.plan import Plan, good_tick, open_engine
from grove_core.base.ticks import Stage

GUILDS = 20


def ruled(plan: Plan, entities: int) -> Iterator[Taken]:
    """The stage `commit` of a tick without and with a rule of two comparisons; the same comparisons by hand.

    Nothing changes between ticks, so that the rule is held against everybody and nobody moves.
    """
    columns = {"x": "f4", "guild": "i4"}
    folder = write_versions(plan.folder / "ruled", "ruled", (1, 2), columns, constant=columns)
    random = np.random.default_rng(1)
    x = random.uniform(0, 1000, entities).astype(np.float32)
    guild = random.integers(0, GUILDS, entities).astype(np.int32)
    pinned = np.zeros(entities, np.bool_)
    by_hand = Series("one rule: commit", Who.NUMPY)
    with open_engine() as free, open_engine() as engine:
        for one in (free, engine):
            one.load_module_version("ruled", 1, path=folder)
            one.load_module_version("ruled", 2, path=folder)
            one.spawn("ruled", x=x, guild=guild)
        engine.pin_where("ruled", "x > 900 and guild == 7", 2)
        samples = sample(
            plan.box,
            together(
                lambda: {Series("no rule: commit"): good_tick(free).stages[Stage.COMMIT]},
                lambda: {Series("one rule: commit"): good_tick(engine).stages[Stage.COMMIT]},
                clocked(by_hand, lambda: np.flatnonzero(((x > 900) & (guild == 7)) != pinned)),
            ),
        )
    yield from taken(samples, entities)
