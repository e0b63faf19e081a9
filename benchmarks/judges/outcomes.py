"""What each rule made of each scene, and that as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judges.rules import RULES, Rule
from benchmarks.judges.scenes import HERTZ, Counted, Scene, simulate
from benchmarks.tables import Table

HEALTHY = ((0.0001, 0.0001), (0.01, 0.01), (0.02, 0.02))
BAD = ((0.0001, 0.001), (0.01, 0.02), (0.01, 0.05), (0.01, 0.1))
SCENES = tuple(
    Scene(stable, canary, own, entities)
    for entities in (100, 1000)
    for own in (False, True)
    for stable, canary in HEALTHY + BAD
)


@dataclass(frozen=True)
class Outcome:
    """What one rule made of the runs of one scene."""

    scene: Scene
    rule: str
    seconds: NDArray[np.float64]
    """When it failed the canary, for each run; infinite where it did not."""
    errors: NDArray[np.int64]
    """How many of the canary's calls had failed by then, in the runs that it failed."""

    @property
    def failed(self) -> float:
        """In which part of the runs it failed the canary."""
        return float(np.isfinite(self.seconds).mean())

    def text(self) -> str:
        """Return how often it failed the canary and, if mostly, when."""
        share = f"{100 * self.failed:.3g}%"
        if self.failed < 0.5:
            return share
        errors = round(float(np.median(self.errors)))
        return f"{share}; {float(np.median(self.seconds)):.2g} s, {errors} error{'s' if errors != 1 else ''}"


def outcome(counted: Counted, rule: Rule) -> Outcome:
    """Run one rule over the runs of a scene."""
    flags = rule.fails(counted)
    fails, first = flags.any(axis=1), flags.argmax(axis=1)
    errors = np.cumsum(counted.canary, axis=1)[fails, first[fails]]
    return Outcome(counted.scene, rule.name, np.where(fails, (first + 1) / HERTZ, np.inf), errors)


def outcomes(runs: int, seed: int) -> Iterator[Outcome]:
    """Simulate every scene, and yield what each rule makes of it."""
    for number, scene in enumerate(SCENES):
        counted = simulate(scene, runs, seed + number)
        yield from (outcome(counted, rule) for rule in RULES)


def tables(found: Sequence[Outcome]) -> Iterator[Table]:
    """Return the false alarms, and what is found when, for each population."""
    populations = list(dict.fromkeys((each.scene.entities, each.scene.own) for each in found))
    healthy = [scene for scene in SCENES if scene.healthy]
    titles = [f"{scene.entities}{', own' if scene.own else ''}: {100 * scene.stable:g}%" for scene in healthy]
    yield Table("False alarms within 30 s", ("rule", *titles), [*_rows(found, healthy)])
    for entities, own in populations:
        scenes = [scene for scene in SCENES if (scene.entities, scene.own, scene.healthy) == (entities, own, False)]
        rates = "error rates of their own" if own else "one error rate"
        title = f"Found within 30 s: {entities} entities with {rates}"
        yield Table(title, ("rule", *(scene.name for scene in scenes)), [*_rows(found, scenes)])


def _rows(found: Sequence[Outcome], scenes: Sequence[Scene]) -> Iterator[tuple[str, ...]]:
    texts = {(each.rule, each.scene): each.text() for each in found}
    for rule in RULES:
        yield (rule.name, *(texts[rule.name, scene] for scene in scenes))
