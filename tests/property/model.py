"""What the engine must do to a ledger, in plain Python: whole numbers, dicts and fractions, no numpy, no Grove."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

BORN_B = 7
TRUE_OF: Mapping[str, Callable[[int], bool]] = {
    "{} % 3 == 1": lambda value: value % 3 == 1,
    "not {} > -3": lambda value: value <= -3,
    "-1000 <= {} < 1000": lambda value: -1000 <= value < 1000,
    "{} in [0, 5, -9, 12345] or {} % 7 in [2, 3]": lambda value: value in (0, 5, -9, 12345) or value % 7 in (2, 3),
}
"""Rules over one column, and what they mean."""


def wrapped(value: int, bits: int = 64) -> int:
    """Return what a column of so many bits holds where `value` overflowed it."""
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


def clipped(value: int) -> int:
    """Return the int16 that is nearest."""
    return max(-(1 << 15), min((1 << 15) - 1, value))


@dataclass
class Row:
    """One entity with all that it has ever had, as it must come back."""

    version: int
    a: int
    step: int
    """As versions 1 and 2 know it; it never changes."""
    step3: int
    """As version 3 knows it."""
    b: int
    grain: int
    """As versions 1 and 2 know it; carried while the row is in 3."""
    small: int = 0
    """As version 3 knows it; `seen` is what it was when the row came."""
    seen: int = 0
    pinned: bool = False
    """Whether by its id."""
    rule: int | None = None
    """The number of the rule that pins it."""
    came: tuple[int, str] | None = None
    """From which version it came where it is, and why; None if it was born there."""

    @classmethod
    def born(cls, schema: int, values: Mapping[str, int]) -> Row:
        """Make the row that a spawn in the schema of one version gives birth to; it is in that version."""
        if schema == 3:
            step3, grain = values["step"], values["grain"]
            return cls(3, values["total"], round(step3 / 10), step3, BORN_B, grain, grain, grain)
        step = values["step"]
        return cls(schema, values["a"], step, step * 10, values.get("b", BORN_B), values["grain"])

    @property
    def fixed(self) -> bool:
        """Whether no split moves it."""
        return self.pinned or self.rule is not None

    def move(self, to: int) -> None:
        """Go to another version."""
        if self.version == 3 != to:
            self.grain = self.shown(1)["grain"]
        if self.version != 3 == to:
            self.small = self.seen = clipped(self.grain)
        self.version = to

    def process(self) -> None:
        """Have one tick, as the version does it."""
        if self.version == 3:
            self.a = wrapped(self.a + self.step3 // 10)
            self.small = wrapped(self.small + (self.a % 2 == 0), 16)
            return
        self.a = wrapped(self.a + self.step)
        if self.version == 2:
            self.b += 1
            self.grain = wrapped(self.grain - 1)

    def shown(self, schema: int) -> dict[str, int]:
        """Return the row in the schema of a version."""
        if schema == 3:
            small = self.small if self.version == 3 else clipped(self.grain)
            return {"total": self.a, "step": self.step3, "grain": small}
        changed = self.version == 3 and self.small != self.seen
        columns = {"a": self.a, "step": self.step, "grain": self.small if changed else self.grain}
        return {**columns, "b": self.b} if schema == 2 else columns


@dataclass
class Use:
    """A loaded version."""

    alive: bool = True
    """Whether its process runs."""
    noticed: bool = False
    """Whether the engine knows that it does not."""
    armed: bool = False
    """Whether it raises the next time it processes."""
    restarts: int = 0
    ticks: int = 0
    processed: int = 0
    errors: int = 0


@dataclass(frozen=True)
class PinRule:
    """A rule: what a column of a version must be for an entity to be pinned there."""

    number: int
    version: int
    column: str
    text: str

    def true_of(self, each: int, row: Row) -> bool:
        """Tell whether it is true of an entity."""
        return TRUE_OF[self.text]({"id": each, **row.shown(self.version)}[self.column])


@dataclass
class Module:
    """The whole module."""

    rows: dict[int, Row] = field(default_factory=dict)
    loaded: dict[int, Use] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    weights: dict[int, Fraction] = field(default_factory=dict)
    stable: int | None = None
    previous: int | None = None
    paused: bool = False
    moved: int = 0
    """Entities that changed their version, in all."""
    rules: list[PinRule] = field(default_factory=list)
    rule_number: int = 0
    kept: dict[int, dict[int, Row]] = field(default_factory=dict)
    """The latest generations: the number of a tick -> every row as it was before."""

    def in_version(self, version: int) -> list[int]:
        """Return the ids in a version."""
        return [each for each, row in self.rows.items() if row.version == version]

    def counts(self) -> dict[int, int]:
        """Return the number of entities of each loaded version, lowest first."""
        return {version: len(self.in_version(version)) for version in sorted(self.loaded)}

    def load(self, version: int) -> None:
        """Load a version that is not loaded."""
        self.loaded[version] = Use()
        self.known.add(version)
        if self.stable is None:
            self.stable, self.weights = version, {version: Fraction(1)}
        self._resume()

    def may_unload(self, version: int) -> bool:
        """Tell whether nothing needs a version."""
        if len(self.loaded) == 1:
            return not self.rows
        named = any(rule.version == version for rule in self.rules)
        return not (self.in_version(version) or self.weights.get(version) or version == self.stable or named)

    def unload(self, version: int) -> None:
        """Unload a version; the module is forgotten with its last one."""
        del self.loaded[version]
        self.weights.pop(version, None)
        if not self.loaded:
            self.__init__()  # type: ignore[misc]

    def set_weights(self, given: Mapping[int, Fraction]) -> None:
        """Take the weights of a split, off one by a little at the most."""
        total = sum(given.values())
        self.weights = {version: weight / total for version, weight in given.items()}
        for version, weight in self.weights.items():
            if weight == 1:
                self._entrust(version)
        self._resume()

    def quota(self) -> dict[int, int]:
        """Return how many entities each loaded version must have after a split, pins included."""
        share = self._shares(self.loaded, len(self.rows))
        pinned = {version: sum(self.rows[each].fixed for each in self.in_version(version)) for version in self.loaded}
        fixed: dict[int, int] = {}
        while over := {v: pinned[v] for v in share if v not in fixed and pinned[v] > share[v]}:
            fixed |= over
            rest = len(self.rows) - sum(fixed.values())
            share = {**fixed, **self._shares([v for v in sorted(self.loaded) if v not in fixed], rest)}
        return {version: share[version] for version in sorted(self.loaded)}

    def quota_of_births(self, births: int, ruled: Iterable[int] = ()) -> dict[int, int]:
        """Return how many of so many newborn each loaded version gets: one by one, to the largest deficit.

        Others, of which rules are true, are born besides in the versions `ruled`.
        """
        counts = self.counts()
        for version in ruled:
            counts[version] += 1
        share = self._shares(self.loaded, sum(counts.values()) + births)
        given = dict.fromkeys(counts, 0)
        for _ in range(births):
            given[max(counts, key=lambda v: (share[v] - counts[v] - given[v], -v))] += 1
        return given

    def bear(self, schema: int, born: Mapping[int, Mapping[str, int]], places: Mapping[int, int]) -> None:
        """Let entities be born where the engine says."""
        for each, values in born.items():
            row = self.rows[each] = Row.born(schema, values)
            rule = self.rule_of(each, row)
            row.rule = None if rule is None else rule.number
            row.move(places[each])
        self._resume()

    def move(self, ids: Iterable[int], to: int, cause: str) -> None:
        """Move entities; those that are there stay."""
        for row in (self.rows[each] for each in ids):
            if row.version != to:
                self.moved += 1
                row.came = row.version, cause
                row.move(to)
        self._resume()

    def rule_of(self, each: int, row: Row) -> PinRule | None:
        """Return the first rule that is true of an entity."""
        return next((rule for rule in self.rules if rule.true_of(each, row)), None)

    def pin_where(self, version: int, column: str, text: str) -> PinRule:
        """Set a rule; all are true then."""
        self.rule_number += 1
        self.rules.append(PinRule(self.rule_number, version, column, text))
        self.keep_rules()
        self._resume()
        return self.rules[-1]

    def unpin_rules(self, gone: Iterable[PinRule]) -> None:
        """End rules; whom they pinned stays."""
        numbers = {rule.number for rule in gone}
        self.rules = [rule for rule in self.rules if rule.number not in numbers]
        for row in self.rows.values():
            row.rule = None if row.rule in numbers else row.rule

    def rules_to(self, versions: Iterable[int]) -> list[PinRule]:
        """Return the rules that pin to these versions."""
        return [rule for rule in self.rules if rule.version in versions]

    def keep_rules(self) -> None:
        """Have every rule be true; pins by id go before."""
        for each, row in self.rows.items():
            rule = None if row.pinned else self.rule_of(each, row)
            row.rule = None if rule is None else rule.number
            if rule is not None:
                self.move([each], rule.version, "pin")

    def end(self, ids: Iterable[int]) -> None:
        """End entities."""
        for each in ids:
            del self.rows[each]
        self._resume()

    def migrate(self, source: int, target: int) -> None:
        """Move all of one version, and its weight, to another."""
        self.unpin_rules(self.rules_to([source]))
        self.move(self.in_version(source), target, "migrate")
        self.weights[target] = self.weights.get(target, Fraction(0)) + self.weights.pop(source, Fraction(0))
        if self.weights[target] == 1:
            self._entrust(target)

    def rollback(self, target: int) -> None:
        """Go back to a version by hand; what failed and was left lying is given up."""
        sources = [version for version in self.loaded if version != target]
        self._go_back(sources, target, "rollback")
        for version in sources:
            if self.loaded[version].noticed:
                del self.loaded[version]

    def rollback_to(self, number: int, target: int, *, undo: bool) -> None:
        """Go back to a version by hand, with the values of a generation; undo births and deaths since, or keep them."""
        then = {each: replace(row) for each, row in self.kept[number].items()}
        for each, row in then.items():
            now = self.rows.get(each)
            row.move(target)
            row.pinned = now is not None and now.version == target and now.pinned
            row.rule = now.rule if now is not None and now.version == target else None
            row.came = None if now is None else now.came if now.version == target else (now.version, "rollback")
            self.moved += now is not None and now.version != target
        born = {each: row for each, row in self.rows.items() if each not in then}
        alive = then if undo else {each: row for each, row in then.items() if each in self.rows}
        self.rows = alive | ({} if undo else born)
        self.rollback(target)

    def keep(self, number: int, most: int) -> None:
        """Keep a generation before a tick."""
        if self.loaded and not self.paused:
            self.kept[number] = {each: replace(row) for each, row in self.rows.items()}
            while len(self.kept) > most:
                del self.kept[min(self.kept)]

    def tick(self) -> list[int]:
        """Advance by one tick; return the versions that faulted, once for each fault."""
        if self.paused:
            return []
        faults: list[int] = []
        lost: dict[int, list[int]] = {}
        for version, use in sorted(self.loaded.items()):
            ids = self.in_version(version)
            if (not use.alive and (ids or not use.noticed)) or (ids and use.armed):
                lost[version] = ids
                self._fault(version, faults)
            elif ids:
                self._process(version, ids)
            elif use.alive:
                use.restarts = 0
        left = [
            version
            for version in sorted(lost, key=lambda v: v != self.stable)
            if not self._recover(version, lost[version], faults)
        ]
        for version in left:  # one that recovered later may have gone back to it
            if self.loaded[version].alive and lost[version]:
                self._process(version, lost[version])
        if not self.paused:
            self.keep_rules()
        return faults

    def _process(self, version: int, ids: list[int]) -> None:
        use = self.loaded[version]
        use.restarts = 0
        use.ticks += 1
        use.processed += len(ids)
        for each in ids:
            self.rows[each].process()

    def _fault(self, version: int, faults: list[int]) -> None:
        use = self.loaded[version]
        use.alive, use.armed, use.noticed = False, False, True
        use.errors += 1
        faults.append(version)

    def _recover(self, version: int, ids: list[int], faults: list[int]) -> bool:
        """Find somebody who takes over, and have `ids` catch up; tell whether there was somebody."""
        holder = self.previous if version == self.stable else self.stable
        if self.loaded[version].alive:  # somebody went back to it meanwhile
            holder = version
        elif holder is not None:
            self._go_back([version], holder, "fault")
            del self.loaded[version]
        elif self.loaded[version].restarts:
            self.paused = True
            return False
        else:
            holder = version
            self._restart(version)
            self.loaded[version].restarts += 1
        if ids and self.loaded[holder].armed:
            self._fault(holder, faults)
            return self._recover(holder, ids, faults)
        if ids:
            self._process(holder, ids)
        return True

    def _go_back(self, sources: list[int], target: int, cause: str) -> None:
        if target not in self.loaded:
            self.load(target)
        elif self.loaded[target].noticed:
            self._restart(target)
        self.unpin_rules(self.rules_to(sources))
        for source in sources:
            ids = self.in_version(source)
            for each in ids:
                self.rows[each].pinned = False
            self.move(ids, target, cause)
            weight = self.weights.pop(source, Fraction(0))
            self.weights[target] = self.weights.get(target, Fraction(0)) + weight
        if self.stable in sources:
            self.stable, self.previous = target, None
        if self.previous in sources:
            self.previous = None
        self._resume()

    def _restart(self, version: int) -> None:
        use = self.loaded[version]
        use.alive, use.noticed, use.armed = True, False, False

    def _entrust(self, version: int) -> None:
        if version != self.stable:
            self.stable, self.previous = version, self.stable

    def _resume(self) -> None:
        stuck = any(use.noticed and self.in_version(version) for version, use in self.loaded.items())
        self.paused = self.paused and stuck

    def _shares(self, versions: Iterable[int], entities: int) -> dict[int, int]:
        """Share entities out by the largest remainders, ties to the lowest version."""
        weights = {version: self.weights.get(version, Fraction(0)) for version in sorted(versions)}
        whole = sum(weights.values())
        exact = {version: weight / whole * entities for version, weight in weights.items()}
        counts = {version: floor(share) for version, share in exact.items()}
        by_remainder = sorted(exact, key=lambda version: (counts[version] - exact[version], version))
        for version in by_remainder[: entities - sum(counts.values())]:
            counts[version] += 1
        return counts
