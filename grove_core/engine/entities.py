"""Calls about entities: births and deaths, where each is, what fixes it there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from packaging.version import Version

from grove_core.author.schema import Columns, as_ids
from grove_core.base.errors import InvalidColumns
from grove_core.base.records import Explanation, PinRule
from grove_core.base.versions import Requirement
from grove_core.engine.core import Core
from grove_core.runtime.orders import queries
from grove_core.runtime.rows import pinning, ruling, split
from grove_core.runtime.rows.explaining import explain
from grove_core.runtime.rows.roles import settle_roles
from grove_core.runtime.ticking.values import observe


class EntityCalls(Core):
    """Bears, ends, finds and pins entities."""

    def spawn(self, module: str, *, id: ArrayLike | None = None, **columns: ArrayLike) -> NDArray[np.int64]:
        """Give birth to entities; columns are of stable's schema.

        What is left out is what stable's config says of newborn (`Module.newborn`), else the column's default.

        Values are arrays of one length, or scalars. Each entity goes to the version with the largest deficit.

        Args:
            module: the module's name.
            id: ids that are not alive; None to be given some.
            columns: name -> values.

        Returns:
            The ids, int64, in the order of the columns.

        Raises:
            InvalidInput, Refused: nobody was born.
        """
        with self._turns.take("spawn"):
            state = self._ready(module)
            source = state.stable_version
            given = None if id is None else _ids(module, id)
            try:
                wanted = {**source.newborn, **columns}
                count, filled = source.schema.conform(wanted, None if given is None else len(given))
            except InvalidColumns as error:
                raise InvalidColumns(error.message, module=module, version=source.version) from None
            ids = split.spawn(state, source, filled, count, given)
            settle_roles(self._context, state)
            return ids

    def despawn(self, module: str, ids: ArrayLike) -> int:
        """End entities; return how many.

        Raises:
            UnknownEntity, InvalidInput: nobody was ended.
        """
        with self._turns.take("despawn"):
            state = self._state(module)
            given = _ids(module, ids)
            split.despawn(state, given)
            settle_roles(self._context, state)
            return len(given)

    def entities(self, module: str, *, version: Requirement | None = None) -> Columns:
        """Copy all entities: column name -> array, `id` among them, in no promised order.

        Args:
            module: the module's name.
            version: in whose schema they are shown; stable's if None. It must be loaded.
        """
        with self._turns.take("entities"):
            state = self._ready(module)
            shown_as = state.stable_version if version is None else state.resolve(version)
            return queries.entities(state, shown_as)

    def locate(self, module: str, ids: ArrayLike) -> list[Version]:
        """Return the version of each id.

        Raises:
            UnknownEntity, InvalidInput: an id is not alive, or stands twice.
        """
        with self._turns.take("locate"):
            return queries.locate(self._state(module), _ids(module, ids))

    def explain(self, module: str, id: int) -> Explanation:
        """Tell why an entity is where it is; print the answer, or read its fields.

        Raises:
            UnknownEntity, InvalidInput: the id is not alive, or it is not one id.
        """
        with self._turns.take("explain"):
            return explain(self._context, self._state(module), _ids(module, id))

    def pin(self, module: str, ids: ArrayLike, version: Requirement) -> int:
        """Fix entities to a loaded version; return how many had to move. Pins count towards a version's share.

        Raises:
            NotFound, InvalidInput, Refused: nothing changed.
        """
        with self._turns.take("pin"):
            state = self._ready(module)
            return pinning.pin(self._context, state, _ids(module, ids), state.resolve(version))

    def unpin(self, module: str, ids: ArrayLike) -> None:
        """Let entities move again that are pinned by their ids, from the next split on.

        Raises:
            UnknownEntity, InvalidInput: nothing changed.
        """
        with self._turns.take("unpin"):
            pinning.unpin(self._state(module), _ids(module, ids))

    def pin_where(self, module: str, rule: str, version: Requirement) -> PinRule:
        """Fix to a loaded version every entity that a rule is true of, now and as entities change.

        The rule is kept true at births and after each tick: who it is true of is moved there and pinned, who it is
        true of no more is free to move from the next split on. Pins by id go before rules, and earlier rules before
        later ones.

        Args:
            module: the module's name.
            rule: a condition over `id` and the columns of `version`, such as "x > 900 and guild == 7"; the entities
                of other versions are read as that version would have them.
            version: where they are fixed to.

        Returns:
            The rule, with its number.

        Raises:
            InvalidRule: it cannot be read, or not be held against the entities of a loaded version.
            NotFound, InvalidInput, Refused: nothing changed.
        """
        with self._turns.take("pin_where"):
            state = self._ready(module)
            return pinning.pin_where(self._context, state, rule, state.resolve(version))

    def unpin_rule(self, module: str, number: int) -> None:
        """Lift a rule by its number; whom it pinned may move again, from the next split on.

        Raises:
            NotFound, InvalidRule: there is none with this number; nothing changed.
        """
        with self._turns.take("unpin_rule"):
            pinning.unpin_rule(self._context, self._state(module), number)

    def pin_rules(self, module: str) -> list[PinRule]:
        """Return the rules that pin entities, in the order in which they go."""
        with self._turns.take("pin_rules"):
            state = self._state(module)
            return [ruling.told(state, rule) for rule in state.pin_rules]

    def observe(self, module: str, name: str, values: ArrayLike, ids: ArrayLike) -> int:
        """Tell of what became of entities: player feedback, revenue. Rollouts compare it between versions.

        Each value counts for the version that its entity is in now. Values of entities that are not alive are left
        out: what comes from outside may come late.

        Args:
            module: the module's name.
            name: like `[a-z][a-z0-9_]*`; up to 64 of them.
            values: finite numbers of shape (n,), or one that is everybody's.
            ids: whose they are, of shape (n,), also several times the same.

        Returns:
            How many values were counted.

        Raises:
            NotFound, InvalidInput: nothing was counted.
        """
        with self._turns.take("observe"):
            return observe(self._state(module), name, values, _ids(module, ids))


def _ids(module: str, given: ArrayLike) -> NDArray[np.int64]:
    try:
        return as_ids(given)
    except InvalidColumns as error:
        raise InvalidColumns(error.message, module=module) from None
