"""What a file holds of one module: its rollouts, samples and other events, in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from grove_core.base.errors import NotFound, UnknownModule, UnknownRollout
from grove_core.base.events import EventKind
from grove_core.reporting.recorded import Decision, Moment, Split, decision, moment, split
from grove_core.sinks.recorded import Recorded, RecordedEvent, RecordedSample

BACK: Final = 1e-6
"""A clock that goes back by more than so many seconds is that of another engine."""
NEAR: Final = 8
"""Among so many events an earlier one of the same kind and version is looked for, to be told as one."""


@dataclass
class Happening:
    """Events of one kind and version, that came one after the other."""

    kind: str
    version: str | None
    first: float
    """The clock's time."""
    last: float
    wall: float
    """Of the last one."""
    details: dict[str, Any]
    """Of the last one."""
    times: int = 1


@dataclass
class Run:
    """What one engine wrote of the module."""

    moments: list[Moment] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    until: float = 0.0
    """The clock's time of the last line, of whatever module."""


@dataclass
class Story:
    """One rollout: what was decided, in order."""

    number: int
    run: Run
    decisions: list[Decision] = field(default_factory=list)

    @property
    def first(self) -> Decision:
        """With which it began, as far as the file goes."""
        return self.decisions[0]

    @property
    def last(self) -> Decision:
        """With which it ended, or where it is."""
        return self.decisions[-1]

    @property
    def ends(self) -> float:
        """The clock's time of its end; if it has none, that of the last line."""
        return self.last.at if self.last.told.state.ended else max(self.last.at, self.run.until)


@dataclass
class History:
    """One module, as far as a file tells."""

    module: str
    runs: list[Run] = field(default_factory=lambda: [Run()])
    stories: list[Story] = field(default_factory=list)
    _since: int = 0
    """Before that no event is told as one with the next."""

    def story(self, number: int | None) -> Story:
        """Return the latest rollout, or the latest that has this number.

        Raises:
            UnknownRollout: there is none.
        """
        if not self.stories:
            raise UnknownRollout(
                "the file tells of no rollout of it; engine.rollouts.start begins one", module=self.module
            )
        if number is None:
            return max(self.stories, key=self._position)
        found = [story for story in self.stories if story.number == number]
        if not found:
            known = ", ".join(sorted({str(story.number) for story in self.stories}, key=int))
            text = f"there is no rollout {number} of it in the file; there are: {known}"
            raise UnknownRollout(text, module=self.module)
        return found[-1]

    def add(self, recorded: Recorded) -> None:
        """Take what was recorded next of this module."""
        if isinstance(recorded, RecordedSample):
            self._sample(moment(recorded))
            return
        run = self.runs[-1]
        if (decided := decision(recorded, len(run.moments))) is not None:
            self._decision(decided)
            self._since = len(run.happenings)
            return
        if (shared := split(recorded, len(run.moments))) is not None:
            run.splits.append(shared)
        self._happening(recorded)

    def next_run(self) -> None:
        """Take what comes from now on as another engine's."""
        self.runs.append(Run())
        self._since = 0

    def _position(self, story: Story) -> tuple[int, float]:
        return next(index for index, run in enumerate(self.runs) if run is story.run), story.first.at

    def _sample(self, taken: Moment) -> None:
        run = self.runs[-1]
        beside = bool(self.stories) and self.stories[-1].run is run and self._decided_after(len(run.moments) - 1)
        if len(run.moments) > 1 and not beside and not self._decided_after(len(run.moments) - 2):
            for reading in run.moments[-1].versions.values():
                reading.durations = {}
        run.moments.append(taken)

    def _decided_after(self, index: int) -> bool:
        """Tell whether something was decided between the sample at this index and the next one."""
        run = self.runs[-1]
        return any(
            story.run is run and any(each.moments == index + 1 for each in reversed(story.decisions[-NEAR:]))
            for story in self.stories[-NEAR:]
        )

    def _decision(self, decided: Decision) -> None:
        run, told = self.runs[-1], decided.told
        known = next(
            (story for story in reversed(self.stories) if story.run is run and story.number == told.rollout), None
        )
        if known is None or _begins(known.last, decided):
            known = Story(told.rollout, run)
            self.stories.append(known)
        known.decisions.append(decided)

    def _happening(self, event: RecordedEvent) -> None:
        happenings = self.runs[-1].happenings
        for near in reversed(happenings[max(self._since, len(happenings) - NEAR) :]):
            if near.kind != event.kind:
                break
            if near.version == event.version:
                near.last, near.wall, near.details = event.at, event.wall, event.details
                near.times += 1
                return
        happenings.append(Happening(event.kind, event.version, event.at, event.at, event.wall, event.details))


def _begins(last: Decision, decided: Decision) -> bool:
    """Tell whether a number is another rollout's: a file may be of several engines whose clock goes on."""
    if decided.kind is EventKind.ROLLOUT_STARTED:
        return decided.told.attempt == 1
    return last.told.state.ended and decided.kind is not EventKind.ROLLOUT_UNDONE


def history(module: str, records: Iterable[Recorded]) -> History:
    """Read what a file tells of a module.

    Raises:
        UnknownModule: nothing; the message has the modules of which it tells something.
        NotFound: it tells of no module at all.
    """
    told, names, at = History(module), set[str](), float("-inf")
    found = False
    for recorded in records:
        if recorded.at < at - BACK:
            told.next_run()
        at = told.runs[-1].until = recorded.at
        if recorded.module == module:
            told.add(recorded)
            found = True
        elif recorded.module is not None:
            names.add(recorded.module)
    if found:
        return told
    if not names:
        raise NotFound("the file tells of no module; the sink `jsonl` writes what an engine does")
    raise UnknownModule(f"the file tells nothing of it; it does of: {', '.join(sorted(names))}", module=module)
