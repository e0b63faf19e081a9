"""Asking the judges of a rollout: the worst verdict counts."""

from __future__ import annotations

from collections.abc import Iterable

from grove_core.base.comparison import Comparison, Judgement, Verdict
from grove_core.base.events import EventKind
from grove_core.parts.contracts import Judge
from grove_core.parts.plugins import Chosen
from grove_core.runtime.state.context import Context


def ask(context: Context, judges: Iterable[Chosen[Judge]], comparison: Comparison) -> dict[str, Judgement]:
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


def _tell(context: Context, chosen: Chosen[Judge], comparison: Comparison, reason: str) -> None:
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
