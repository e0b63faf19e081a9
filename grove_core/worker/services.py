"""Both of a worker's ends of services: calling those of modules that it needs, and answering those that need it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.entities import Entities
from grove_core.author.module import Module
from grove_core.author.schema import ID, Array, Columns, Schema, as_ids
from grove_core.author.services import Base, Service
from grove_core.base.errors import GroveError, InvalidInput, Refused, ServiceFailed
from grove_core.wire.channel import Channel, close_all
from grove_core.wire.messages import ToWorker
from grove_core.wire.service_messages import Answered, AnswerPart, CallService, Offer, Serve, Served, Unanswered
from grove_core.worker.bounds import Bounds
from grove_core.worker.packing import KINDS, pack, unpack, views

NOT_NOW = "services can be called in `initialize`, `process` and services only, from the thread that runs these"


class Calling:
    """Has services of other modules called for a version, each in the time it takes to be answered.

    Args:
        channel: the worker's own; while a call lasts nothing but its answer is to be received.
        bounds: what the version is held to.
    """

    def __init__(self, channel: Channel[ToWorker], bounds: Bounds) -> None:
        self._channel = channel
        self._bounds = bounds
        self._thread: int | None = None
        """Who may call: what several threads asked at once would get each other's answers."""

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let services be called within a block: the engine waits for what it asked, and answers calls."""
        before, self._thread = self._thread, threading.get_ident()
        try:
            yield
        finally:
            self._thread = before

    def handles(self, offers: Iterable[Offer]) -> Mapping[str, Base]:
        """Return the handles of the modules that a version needs, by their names."""
        return {offer.module: Base(offer.module, offer.version, offer.services, self) for offer in offers}

    def call(self, base: str, service: Service, given: tuple[Any, ...], shared: Mapping[str, Any]) -> Any:
        """Do what `Line` says.

        Raises:
            Refused: this is no time for it.
            InvalidInput: what is given cannot be sent, or is not one value for each entity.
            ServiceFailed: nobody answered.
        """
        if self._thread != threading.get_ident():
            raise Refused(f"{base}.{service.name} cannot be called now: {NOT_NOW}")
        ids = None
        if service.per_entity:
            ids, given = _per_entity(base, service, given)
        try:
            packed = pack(list(given)), pack(dict(shared))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"{base}.{service.name}{service.signature}: {error}") from None
        self._channel.send(CallService(base, service.name, *packed, None if ids is None else ids.tobytes()))
        with self._bounds.lifted():
            answer, descriptors = self._channel.receive(None)
        close_all(descriptors)
        if isinstance(answer, Unanswered):
            failed = ServiceFailed(f"{base}.{service.name}{service.signature} was not answered: {answer.reason}")
            if answer.traceback:
                failed.add_note(answer.traceback)
            raise failed
        assert isinstance(answer, Answered)
        return _joined(answer.parts, None if ids is None else len(ids))


class Answering:
    """Answers calls of a version's services.

    Args:
        module: the version.
        services: what it offers.
    """

    def __init__(self, module: Module, schema: Schema, services: Iterable[Service]) -> None:
        self._module = module
        self._schema = schema
        self._services = {each.name: each for each in services}
        self._nobody: Columns = {ID: np.empty(0, np.int64), **schema.conform({}, 0)[1]}

    def answer(self, order: Serve, columns: Columns) -> Served:
        """Call the method, over columns that are shown to it read only.

        Raises:
            Refused: it changed something.
            InvalidInput: its answer cannot be sent, or is not one value for each entity.
        """
        service, module = self._services[order.name], self._module
        given, shared = views(order.given), views(order.shared)
        if order.ids is None:
            there = columns if order.rows_in_all else self._nobody  # without rows nothing need be mapped
            entities = Entities(self._schema, _read_only(there, slice(0, order.rows_in_all)))
        else:
            ids, rows, given = _asked(order, given)
            module.unknown = rows < 0
            entities = Entities(self._schema, self._rows_of(columns, ids, rows))
            given = [entities.id, *given]
        module.entities = entities
        before, module._document_changed = module._document_changed, False
        began = time.perf_counter()
        try:
            result = getattr(module, service.name)(*given, **shared)
            ms = (time.perf_counter() - began) * 1000
            self._refuse_changes(service, entities)
        finally:
            module._document_changed = before  # what `update_config` changed goes along with the next tick
        try:
            packed = pack(_checked(result, len(entities)) if service.per_entity else result)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"what the service {service.name} returned cannot be sent: {error}") from None
        return Served(order.call, ms, packed)

    def _rows_of(self, columns: Columns, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> Columns:
        """Gather rows; those that are not there get the columns' defaults."""
        missing = rows < 0
        taken: Columns = {ID: ids}
        for spec in self._schema.specs:
            if missing.all():  # nothing need be mapped
                values = np.full(len(rows), spec.column.default, spec.dtype)
            else:
                values = columns[spec.name][np.where(missing, 0, rows)]
                values[missing] = spec.column.default
            taken[spec.name] = values
        return _read_only(taken, slice(None))

    def _refuse_changes(self, service: Service, entities: Entities) -> None:
        asked_for = entities._births or entities._deaths or entities._failures or entities._observed
        if asked_for or self._module._document_changed:
            raise Refused(
                f"the service {service.name} spawned, despawned, failed, observed or marked its state as changed; a "
                f"service answers and changes nothing: do it in `process`"
            )


def _per_entity(base: str, service: Service, given: tuple[Any, ...]) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Return the entities that a call is about, and its other positional arguments as arrays.

    Raises:
        InvalidInput: they are missing, or one is not an array with a value for each.
    """
    what = f"{base}.{service.name}{service.signature}"
    if not given:
        raise InvalidInput(f"{what}: give ids without its name, as the first argument")
    try:
        ids = as_ids(given[0])
    except GroveError as error:
        raise InvalidInput(f"{what}: {error.message}") from None
    arrays = []
    for place, each in enumerate(given[1:], 2):
        values = np.asarray(each)
        if values.dtype.kind not in KINDS or not values.ndim or len(values) != len(ids):
            raise InvalidInput(
                f"{what}: argument {place} must be an array of numbers with one value for each of the {len(ids)} ids, "
                f"not {values.dtype} of shape {values.shape}; what all of them share is given by name"
            )
        arrays.append(values)
    return ids, tuple(arrays)


def _asked(order: Serve, given: Sequence[Array]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Array]]:
    """Return the entities that this version is asked about, their rows, and what is given for each of them."""
    assert order.ids is not None
    assert order.rows is not None
    ids, rows = np.frombuffer(order.ids, np.int64), np.frombuffer(order.rows, np.int64)
    if order.places is None:
        return ids, rows, list(given)
    places = np.frombuffer(order.places, np.int64)
    return ids[places], rows, [values[places] for values in given]


def _read_only(columns: Columns, rows: slice) -> Columns:
    """Return views of these rows that cannot be written."""
    shown = {name: values[rows] for name, values in columns.items()}
    for values in shown.values():
        values.flags.writeable = False
    return shown


def _checked(result: Any, count: int) -> Any:
    """Return an answer for entities as arrays, each with one value for each of them.

    Raises:
        ValueError: one is not so.
    """
    if isinstance(result, dict):
        return {key: _checked(value, count) for key, value in result.items()}
    if isinstance(result, tuple):
        return tuple(_checked(value, count) for value in result)
    array = np.asarray(result)
    if array.dtype.kind not in KINDS or not array.ndim or len(array) != count:
        raise ValueError(
            f"{array.dtype} of shape {array.shape} is not one value for each of the {count} entities it is about"
        )
    return array


def _joined(parts: Sequence[AnswerPart], count: int | None) -> Any:
    """Put the parts of an answer together.

    Raises:
        ServiceFailed: one cannot be read, or versions answered in different shapes.
    """
    if count is None or parts[0].places is None:
        result = _read(unpack, parts[0].result)
        return result if count is None else _joining(lambda values: _refuse_length(values, count), [result])
    places = [np.frombuffer(part.places or b"", np.int64) for part in parts]

    def join(*values: Array) -> Array:
        whole = np.empty((count, *values[0].shape[1:]), np.result_type(*values))
        for where, part in zip(places, values, strict=True):
            whole[where] = part
        return whole

    return _joining(join, [_read(views, part.result) for part in parts])


def _refuse_length(values: Any, count: int) -> Array:
    if not isinstance(values, np.ndarray) or values.shape[:1] != (count,):
        raise ValueError(f"not one value for each of {count} entities")
    return values


def _joining(join: Callable[..., Array], answers: Sequence[Any]) -> Any:
    try:
        return _each(join, *answers)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ServiceFailed(f"its versions answered in different shapes: {error}") from None


def _read(read: Callable[[bytes], Any], packed: bytes) -> Any:
    try:
        return read(packed)
    except ValueError as error:
        raise ServiceFailed(f"its answer cannot be read: {error}") from None


def _each(do: Callable[..., Array], first: Any, *others: Any) -> Any:
    """Do something with each array of answers that are alike: arrays, or tuples and tables of such."""
    if isinstance(first, dict):
        if any(other.keys() != first.keys() for other in others):
            raise ValueError("their tables have different keys")
        return {key: _each(do, value, *(other[key] for other in others)) for key, value in first.items()}
    if isinstance(first, list):  # what was sent as a tuple
        return tuple(_each(do, *values) for values in zip(first, *others, strict=True))
    return do(first, *others)
