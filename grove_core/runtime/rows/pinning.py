"""Pins by id and by rule: set, lifted, and those by rule kept true as entities change."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, ID_DTYPE
from grove_core.base.errors import GroveError, InvalidRule, Refused, UnknownVersion
from grove_core.base.events import EventKind
from grove_core.base.records import MoveCause, PinRule
from grove_core.base.showing import brief
from grove_core.rules.rule import Rule
from grove_core.runtime.rows.moves import Moved, Transaction, move, record, settle
from grove_core.runtime.rows.roles import settle_roles
from grove_core.runtime.rows.ruling import Marks, drop, holds, refuse_unread, told
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.index import find
from grove_core.runtime.state.state import LiveRule, LoadedVersion, ModuleState, nothing_more
from grove_core.runtime.state.store import BY_ID, FREE, PINNED

MOST_RULES = 64
"""How many rules a module may have: each is held against every entity after every tick."""


def pin(context: Context, state: ModuleState, ids: NDArray[np.int64], target: LoadedVersion) -> int:
    """Fix entities to a version, moving those that are elsewhere; return how many moved.

    Raises:
        UnknownEntity, DuplicateEntity, NoLensPath, OutOfMemory: nothing changed.
    """
    began, at = time.perf_counter(), context.clock.now()
    state.split_number += 1
    here: NDArray[np.int64] = np.empty(0, np.int64)
    moved: list[Moved] = []

    def settle() -> None:
        target.table[PINNED][here] = BY_ID
        record(state, moved, MoveCause.PIN, at, began)
        settle_roles(context, state)

    with Transaction(state) as transaction:
        for loaded, _, rows in find(state, ids):
            if loaded is target:
                here = rows
            else:
                _, hops = move(transaction, state, loaded, np.sort(rows), target, pinned=BY_ID)
                moved.append(Moved(loaded.version, hops, len(rows)))
        transaction.then = settle
    return sum(each.entities for each in moved)


def unpin(state: ModuleState, ids: NDArray[np.int64]) -> None:
    """Let entities move again that are pinned by their ids; they stay where they are until the next split.

    Raises:
        UnknownEntity, DuplicateEntity: nothing changed.
    """
    places = list(find(state, ids))

    def settle() -> None:
        for loaded, _, rows in places:
            pinned = loaded.table[PINNED]
            pinned[rows[pinned[rows] == BY_ID]] = FREE

    with Transaction(state) as transaction:
        transaction.then = settle


def pin_where(context: Context, state: ModuleState, text: str, target: LoadedVersion) -> PinRule:
    """Fix to a version whatever a rule is true of, now and from now on.

    Raises:
        InvalidRule, Refused, LensError, PluginFailed: nothing changed.
    """
    if len(state.pin_rules) >= MOST_RULES:
        raise Refused(f"it has {MOST_RULES} rules, which is the most; unpin_rule ends one", module=state.name)
    try:
        rule = Rule.of(text, {ID: ID_DTYPE, **target.schema.dtypes})
    except InvalidRule as error:
        raise InvalidRule(error.message, module=state.name, version=target.version) from None
    taken = {one.mark for one in state.pin_rules}
    mark = next(number for number in range(BY_ID + 1, BY_ID + 2 + MOST_RULES) if number not in taken)
    live = LiveRule(state.rule_number + 1, mark, target.version, rule)
    refuse_unread(state, live)
    rules = (*state.pin_rules, live)

    def take() -> None:
        state.pin_rules, state.rule_number = rules, live.number

    change = _Change(context, state, rules)
    change.make(take)
    pinned = told(state, live)
    context.emit(
        EventKind.PIN_RULE_SET,
        state.name,
        target.version,
        number=live.number,
        rule=text,
        entities=pinned.entities,
        moved=change.entities,
    )
    return pinned


def unpin_rule(context: Context, state: ModuleState, number: int) -> None:
    """End a rule; whom it pinned stays until the next split, or until another rule takes it at the next tick.

    Raises:
        InvalidRule: there is none with this number.
    """
    gone = [rule for rule in state.pin_rules if rule.number == number]
    if not gone:
        there = ", ".join(str(rule.number) for rule in state.pin_rules) or "none"
        raise InvalidRule(f"there is no rule {brief(number)}; there are: {there}", module=state.name)
    with Transaction(state) as transaction:
        transaction.then = lambda: drop(context, state, gone, "it was lifted by hand")


def keep(context: Context, state: ModuleState) -> None:
    """Have every rule be true once more: pin what it is true of now, free what it was true of.

    A rule that cannot be carried out is dropped, as an event, and fails nothing.
    """
    while state.pin_rules:
        change = _Change(context, state, state.pin_rules)
        try:
            change.make()
        except (GroveError, MemoryError) as error:
            if not settle(state):  # what had been decided before it was raised is done; else nothing has happened
                drop(context, state, [change.at], f"it could not be carried out: {error}")
        else:
            return


class _Change:
    """What has to be done for every rule to be true.

    Args:
        context: the engine's parts.
        state: the module.
        rules: at least one; the first that is true of an entity has it.
    """

    def __init__(self, context: Context, state: ModuleState, rules: tuple[LiveRule, ...]) -> None:
        self._context = context
        self._state = state
        self._rules = rules
        self._moved: list[Moved] = []
        self._stay: list[tuple[LoadedVersion, NDArray[np.int64], NDArray[np.int64] | None, Marks]] = []
        """Where marks change in place: rows, their ids if rows of that version change their places, the marks."""
        self.at = rules[-1]
        """The rule that is being looked at."""

    @property
    def entities(self) -> int:
        """How many entities move."""
        return sum(each.entities for each in self._moved)

    def make(self, then: Callable[[], None] = nothing_more) -> None:
        """Do it, and `then` with it; nothing if nothing has to be done.

        Raises:
            GroveError: nothing changed.
        """
        state, began, at = self._state, time.perf_counter(), self._context.clock.now()
        changed = [(loaded, *self._changed(loaded)) for loaded in state.ordered if loaded.count]
        if then is nothing_more and not any(len(rows) for _, rows, _ in changed):
            return

        def publish() -> None:
            for loaded, rows, ids, marks in self._stay:
                places = rows if ids is None else rows_of(loaded.table, ids)
                loaded.table[PINNED][places] = marks
            if self._moved:
                record(state, self._moved, MoveCause.PIN, at, began)
            then()
            settle_roles(self._context, state)

        with Transaction(state) as transaction:
            for loaded, rows, marks in changed:
                if len(rows):
                    self._plan(transaction, loaded, rows, marks)
            transaction.then = publish

    def _changed(self, loaded: LoadedVersion) -> tuple[NDArray[np.int64], Marks]:
        """Return the rows of a version whose marks are not what they must be, and what they must be."""
        *earlier, self.at = self._rules
        marks: Marks = holds(self._state, self.at, loaded).view(np.uint8) * np.uint8(self.at.mark)
        for rule in reversed(earlier):
            self.at = rule
            np.copyto(marks, rule.mark, where=holds(self._state, rule, loaded))
        pinned = loaded.table[PINNED]
        different = np.not_equal(marks, pinned)
        different &= pinned != BY_ID
        rows = np.flatnonzero(different)
        return rows, marks[rows]

    def _plan(self, transaction: Transaction, loaded: LoadedVersion, rows: NDArray[np.int64], marks: Marks) -> None:
        """Move those whose rule pins to another version, and note the marks of the others."""
        stays = np.ones(len(rows), np.bool_)
        for rule in self._rules:
            chosen = marks == rule.mark
            if rule.version == loaded.version or not chosen.any():
                continue
            self.at = rule
            if not self._moved:
                self._state.split_number += 1
            _, hops = move(transaction, self._state, loaded, rows[chosen], self._target(rule), pinned=rule.mark)
            self._moved.append(Moved(loaded.version, hops, int(np.count_nonzero(chosen))))
            stays &= ~chosen
        if stays.any():
            here = rows[stays]
            ids = None if stays.all() else loaded.table[ID][here]
            self._stay.append((loaded, here, ids, marks[stays]))

    def _target(self, rule: LiveRule) -> LoadedVersion:
        target = self._state.versions.get(rule.version)
        if target is None:
            raise UnknownVersion("it is not loaded any more", module=self._state.name, version=rule.version)
        return target
