"""Asking the judges of a rollout: the worst verdict counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grove_core.base.comparison import Comparison, Judgement, Verdict
from grove_core.base.events import EventKind
from grove_core.parts.choice import Choice
from grove_core.parts.contracts import Judge
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.runtime.context import Context


@dataclass
class ChosenJudge:
    """A judge of a plan, or of the settings."""

    name: str
    plugin: str
    part: Judge
    told: bool = False
    """Whether it was reported that it fails."""


def choose_judges(catalogue: Catalogue, choices: Iterable[Choice]) -> list[ChosenJudge]:
    """Make judges.

    Raises:
        UnknownPart, PluginFailed: one is not registered, or cannot be made.
    """
    return [
        ChosenJudge(
            choice.use,
            catalogue.find(PartKind.JUDGE, choice.use).plugin,
            catalogue.make(PartKind.JUDGE, choice.use, choice.options),
        )
        for choice in choices
    ]


def ask(context: Context, judges: Iterable[ChosenJudge], comparison: Comparison) -> dict[str, Judgement]:
    """Ask every judge. One that raises, or answers nonsense, cannot tell; that is reported once a rollout."""
    judgements = {}
    for chosen in judges:
        answer: object
        try:
            answer = chosen.part.judge(comparison)
        except Exception as error:
            answer = f"it raised {type(error).__name__}: {error}"
        if not isinstance(answer, Judgement):
            reason = answer if isinstance(answer, str) else f"it answered {type(answer).__name__}, not a Judgement"
            _tell(context, chosen, comparison, reason)
            answer = Judgement(Verdict.INCONCLUSIVE, reason)
        judgements[chosen.name] = answer
    return judgements


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """Return the worst judgement, the first of several; without judges there is nothing to tell by."""
    nobody = Judgement(Verdict.INCONCLUSIVE, "no judge was asked")
    return max(judgements, key=lambda each: each.verdict.badness, default=nobody)


def _tell(context: Context, chosen: ChosenJudge, comparison: Comparison, reason: str) -> None:
    if chosen.told:
        return
    chosen.told = True
    context.emit(
        EventKind.PLUGIN_FAILED,
        comparison.module,
        comparison.canary.version,
        plugin=chosen.plugin,
        error=f"the judge {chosen.name!r}: {reason}; it counts as inconclusive",
    )
