"""Other code takes the place of a loaded version: a worker of it is made ready beside, and they change places.

Only the steps of it need the turn; while the new worker imports, initialises and warms up, others tick. It gets no
columns before the change, so until then nothing of the version can be harmed by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from packaging.version import Version

from grove_core.base.configs import same
from grove_core.base.errors import AlreadyLoaded, GroveError, LoadFailed, MigrationRefused, PatchRefused, PeerDied
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.limits import Limit
from grove_core.base.records import VersionRecord
from grove_core.parts.running import Worker
from grove_core.runtime.loading.apart import Apart
from grove_core.runtime.loading.fitting import refuse_misfit, refuse_unmet_after
from grove_core.runtime.loading.introducing import initialise, introduce
from grove_core.runtime.loading.loading import forget, join
from grove_core.runtime.loading.renaming import renaming
from grove_core.runtime.loading.renewing import IDLE_ANSWER_SECONDS, end_replaced
from grove_core.runtime.orders.asks import flush_output, read_output
from grove_core.runtime.orders.awaiting import await_answer
from grove_core.runtime.orders.unloading import is_idle, leave_memory, shut_down
from grove_core.runtime.rows.adoption import has_let_go, let_go
from grove_core.runtime.rows.moves import Transaction, settle
from grove_core.runtime.rows.roles import settle_roles
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.state import Description, Former, LoadedVersion, ModuleState, nothing_more
from grove_core.runtime.state.turns import Turn
from grove_core.wire.faults import AT_PATCH
from grove_core.wire.patch_messages import Patch as TakeOver
from grove_core.wire.patch_messages import Patched

UNDOABLE = 100
"""So many codes of a version are kept for `undo_patch`: the first, and the latest."""


@dataclass
class Patch:
    """A loaded version, the code that is to take its place, and how far that has come."""

    state: ModuleState
    loaded: LoadedVersion
    record: VersionRecord
    """Of the code."""
    undoes: bool = False
    """Whether it is the code that the version had before."""
    refuse: Callable[[], None] = nothing_more
    """Raises if the module must not be patched now, for what only the caller knows of."""
    then: Callable[[], None] = nothing_more
    """What belongs to the change besides; done last, and doing it twice is doing it once."""
    before: Description = field(init=False)
    source: Version = field(init=False)
    former: list[Former] = field(default_factory=list)
    """What can be undone afterwards, the first code first; known at the change."""
    entities: int = 0
    """How many it had at the change."""
    fresh: LoadedVersion | None = None
    """The version as it is to be, with the worker of the new code."""
    known: Description | None = None
    """What was known of the version that it becomes."""
    joined: bool = False
    """Whether the graph knows the new code already."""
    change: Callable[[], None] | None = None
    """What is going to be decided."""
    begun: bool = False
    """Whether it was decided, and that was begun."""
    old: Worker | None = None
    """Who had the place, until that has ended."""

    def __post_init__(self) -> None:
        self.before, self.source = self.loaded.description, self.loaded.version

    @property
    def target(self) -> Version:
        """What the version is called afterwards."""
        assert self.record.version is not None
        return self.record.version

    @property
    def decided(self) -> bool:
        """Whether it can only go on from here."""
        return self.begun or self.noted

    @property
    def noted(self) -> bool:
        """Whether it is decided, and not yet done."""
        intent = self.state.intent
        return intent is not None and intent.then is self.change

    @property
    def worker(self) -> Worker | None:
        """The worker of the new code."""
        return None if self.fresh is None else self.fresh.worker


def carry_out(context: Context, turn: Turn, patch: Patch) -> None:
    """Put other code in the place of a loaded version, in a turn that is given away while it is made ready.

    All of it happens, or nothing; what it was made ready in, or what had the place, has ended either way.

    Raises:
        PatchRefused, AlreadyLoaded: the code does not fit, or what happened meanwhile does not go with it.
        PackageError: a lens or a requirement of it does not fit.
        InvalidConfig: the version's config is not as the code describes it.
        MigrationRefused: it does not take the document.
        LoadFailed, DeadlineExceeded, WorkerError: it did not become ready.
        GroveError: what `Patch.refuse` raises.
    """
    try:
        try:
            refuse_changed(context, patch)
            _make_ready(context, turn, patch)
            _once_idle(context, turn, patch)
            with turn.aside():
                _end_old(context, patch)
            _finish(context, patch)
        except GroveError as error:
            if patch.worker is not None and not patch.decided:
                _tell_death(patch.worker, error)
                with turn.aside():
                    patch.worker.kill()  # which may take a moment
            raise
        except BaseException:
            _finish(context, patch)
            raise
    except BaseException:
        _finish(context, patch)  # once more: an error may have struck while another one was dealt with
        raise


def refuse_changed(context: Context, patch: Patch) -> None:
    """Refuse what is not as it was when the patch began, or what the code cannot take the place of any more.

    Raises:
        PatchRefused, AlreadyLoaded, DependencyError, GroveError: it says what.
    """
    state, loaded = patch.state, patch.loaded
    settle(state)
    end_replaced(context, state)
    if context.modules.get(state.name) is not state or state.versions.get(patch.source) is not loaded:
        raise _refused(patch, "it was unloaded meanwhile")
    if loaded.description is not patch.before:
        raise _refused(patch, "it was patched meanwhile, by another call; patch what is there now")
    if patch.fresh is not None and not same(patch.fresh.config, loaded.config):
        raise _refused(patch, "its config was changed meanwhile; patch it again")
    if patch.target != patch.source and patch.target in state.versions:
        raise AlreadyLoaded(
            f"it is loaded already, beside {patch.source}; give it the weight instead",
            module=state.name,
            version=patch.target,
        )
    patch.refuse()
    refuse_unmet_after(context.modules, state, patch.source, patch.target)


def _make_ready(context: Context, turn: Turn, patch: Patch) -> None:
    """Have a worker import the code, initialise and warm up."""
    state, loaded = patch.state, patch.loaded
    deadline = Deadline(context.waiting, context.settings.load_deadline_seconds)
    fresh = replace(loaded, version=patch.target, worker=None, output="", output_dropped=0, newborn={})
    patch.fresh = fresh
    with put_off():  # who is being started cannot be ended yet
        fresh.worker = context.isolation.start()
    apart = Apart(fresh.worker, turn, context.waiting, lambda: read_output(context, state, fresh))
    fresh.description = introduce(context, apart, patch.record, loaded.limits, deadline, AT_PATCH)
    refuse_misfit(context.modules, patch.before, fresh.description)
    initialise(context, state, fresh, apart, deadline)


def _once_idle(context: Context, turn: Turn, patch: Patch) -> None:
    """Change places between two ticks, as soon as the version may be reloaded.

    Raises:
        PatchRefused: that did not come in time.
    """
    limit = context.settings.idle_deadline_seconds
    deadline = Deadline(context.waiting, limit)
    while True:
        with put_off():
            refuse_changed(context, patch)
            if is_idle(patch.loaded, IDLE_ANSWER_SECONDS, context.waiting):
                _change_places(context, patch)
                return
        if not deadline.left:
            raise _refused(patch, f"its is_idle did not become true within {limit:g} s (idle_deadline_seconds)")
        with turn.aside():
            context.waiting.poll().poll(IDLE_ANSWER_SECONDS * 1000)


def _change_places(context: Context, patch: Patch) -> None:
    """Give the new code the document, and have it take the place; the old code has let go of the columns then."""
    state, loaded, fresh = patch.state, patch.loaded, patch.fresh
    assert fresh is not None
    refuse_misfit(context.modules, patch.before, fresh.description)
    let_go(loaded)
    try:
        _hand_over(context, patch, fresh)
    finally:
        if not has_let_go(loaded, context.waiting) and loaded.count:
            leave_memory(context, state, loaded)
    patch.known, patch.joined = state.descriptions.get(patch.target), True
    join(state, fresh.description)
    for each in (loaded, fresh):
        read_output(context, state, each)
        flush_output(context, state, each)
    patch.old, patch.entities = loaded.worker, loaded.count
    former = loaded.former
    patch.former = former[:-1] if patch.undoes else _kept([*former, Former(patch.before, loaded.document)])
    rename = renaming(context.modules, state, loaded, patch.target)
    offered = [each.introduced.services for each in (patch.before, fresh.description)]
    renewals = loaded.renewals + (offered[0] != offered[1])  # then those that need it are to learn of that

    def change() -> None:
        patch.begun = True
        loaded.description, loaded.former = fresh.description, patch.former
        loaded.newborn, loaded.bases, loaded.renewals = fresh.newborn, fresh.bases, renewals
        loaded.document, loaded.document_ahead = fresh.document, False
        loaded.mapped, loaded.idle_asked, loaded.failed, loaded.restarts = None, False, None, 0
        loaded.worker = fresh.worker
        rename()
        if patch.undoes and patch.target != patch.source:  # nobody who asks for the highest 1.* means what was undone
            state.configs.pop(patch.source, None)
            state.limits.pop(patch.source, None)
        patch.then()
        settle_roles(context, state)

    with Transaction(state) as transaction:
        transaction.then = patch.change = change


def _hand_over(context: Context, patch: Patch, fresh: LoadedVersion) -> None:
    """Have the new code take the last committed document over.

    An undo goes back to code that may not know what the later one wrote: then it goes on from the last of its own.

    Raises:
        MigrationRefused, PatchRefused: it does not take it.
        LoadFailed, DeadlineExceeded, WorkerError: it raised or failed at it.
    """
    document, own = patch.loaded.document, patch.loaded.former[-1].document if patch.undoes else None
    try:
        answer = _take_over(context, fresh, document, patch.source)
    except LoadFailed:
        if not patch.undoes or own is None:
            raise
        answer = None
    if document is not None and not (answer is not None and answer.document_taken):
        if not patch.undoes:
            raise _not_taken(patch, fresh)
        context.emit(EventKind.DOCUMENT_LEFT, patch.state.name, patch.target, giver=str(patch.source))
        if own is not None:
            answer = _take_over(context, fresh, own, patch.target)
    assert answer is not None
    fresh.document = answer.document


def _take_over(context: Context, fresh: LoadedVersion, document: bytes | None, giver: Version) -> Patched:
    """Give the new code a document, and wait as long as a tick may take."""
    limits, worker = fresh.limits, fresh.worker
    assert worker is not None
    limit_ms, setting = context.settings.tick_deadline_ms, "tick_deadline_ms"
    if limits.tick_ms is not None:
        limit_ms, setting = limits.tick_ms, f"its limit {Limit.WALL}"
    worker.send(TakeOver(document, str(giver)))
    deadline = Deadline(context.waiting, limit_ms / 1000)
    return await_answer(worker, deadline, limits, "given the document at the change", Patched, setting=setting)


def _finish(context: Context, patch: Patch) -> None:
    """Do what was decided to its end, or end what was made ready for nothing. Twice is once."""
    with put_off():
        state = patch.state
        if patch.decided:
            if patch.noted:
                settle(state)
            _close_old(patch)
            return
        if patch.joined:
            forget(state, patch.target, patch.known)
            patch.joined = False
        if patch.fresh is not None and patch.fresh.worker is not None:
            read_output(context, state, patch.fresh)
            flush_output(context, state, patch.fresh)
            patch.fresh.worker.kill()
            patch.fresh.worker.close()
            patch.fresh.worker = None


def _tell_death(worker: Worker, error: GroveError) -> None:
    """Have an error say how the worker of the new code ended, if that is what it is about."""
    if isinstance(error, PeerDied):
        worker.wait(0.05)  # its socket closes a moment before it is reaped
        error.message = f"the worker of the code {worker.how_it_ended()} while it was made ready"


def _end_old(context: Context, patch: Patch) -> None:
    """Let the code that had the place shut down by itself. It has no columns any more: ticks go on meanwhile."""
    if patch.old is not None:
        shut_down(patch.old, context.settings.idle_deadline_seconds)
        patch.old.kill()


def _close_old(patch: Patch) -> None:
    """Make sure that who had the place has ended."""
    if patch.old is not None:
        patch.old.kill()
        patch.old.close()
        patch.old = None


def _not_taken(patch: Patch, fresh: LoadedVersion) -> MigrationRefused | PatchRefused:
    if fresh.description.introduced.keeps_document:
        giver = str(patch.source)
        return MigrationRefused(
            f"it does not take the document of {giver}; let migrate_state_from({giver!r}, state) take it over and "
            f"return True",
            module=patch.state.name,
            version=patch.target,
        )
    return _refused(patch, "the code keeps no document, and there is one that would be lost; let it define get_state")


def _refused(patch: Patch, text: str) -> PatchRefused:
    return PatchRefused(text, module=patch.state.name, version=patch.source)


def _kept(former: list[Former]) -> list[Former]:
    """Return the codes that are kept for an undo."""
    return former if len(former) <= UNDOABLE else [former[0], *former[2:]]
