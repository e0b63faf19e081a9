"""What is told of frames: a section of the text, and a part of the document. Times are ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grove_core.base.ticks import Stage
from grove_core.scenario.frames import Spread, by_cause, loads_and_losses, ordinary, over, worst
from grove_core.scenario.metrics import BUDGETED_ENTITIES, FRAME_MS, FRAME_P99_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grove_core.scenario.frames import Frame
    from grove_core.scenario.seen import Seen

WIDTHS = {stage: max(7, len(stage.value) + 1) for stage in Stage}
"""Of a stage's column in the text; a line fits 80 columns."""
TICK_ONLY = "tick only"
"""How it is called when nothing else happened in a frame."""


def frames_text(seen: Seen) -> Iterator[str]:
    """Tell in lines how long frames took, which were the worst, and what happened in them."""
    frames = seen.frames
    yield "A frame is all the engine did from the end of one tick to the end of the next."
    yield from _budgets(seen.entities)
    if not frames:
        yield "✗ No frame was measured"
        return
    plain = ordinary(frames)
    yield ""
    yield f"  {'frames, in ms':<22}{'count':>7}{'p50':>10}{'p99':>10}{'max':>10}"
    yield from _spreads(frames)
    late, own_late = over(plain, FRAME_MS)
    yield f"  {'⚠' if late else '✓'} {late} of {len(plain)} took {FRAME_MS:g} ms or longer, {own_late} without waits"
    yield from ("", "  The worst without a load or a loss, in ms:")
    yield from _table(worst(plain))
    yield from ("", "  Every frame with a load or a loss, in ms:")
    yield from _table(loads_and_losses(frames))
    yield from (
        "  frame: the tick, and loads, splits and the like before it.",
        "  waits: how long the tick was held up since a process had no processor.",
    )


def frames_document(seen: Seen) -> dict[str, Any]:
    """Return the same for JSON."""
    frames = seen.frames
    plain = ordinary(frames)
    return {
        "all": _spread_document(Spread.of(frames)),
        "without_load_or_loss": _spread_document(Spread.of(plain)),
        "without_load_or_loss_or_waits": _spread_document(Spread.of_own(plain)),
        "by_cause": {cause or "tick_only": _spread_document(one) for cause, one in by_cause(frames).items()},
        "over_budget": over(plain, FRAME_MS)[0],
        "over_budget_without_waits": over(plain, FRAME_MS)[1],
        "worst": [_document(frame) for frame in worst(plain)],
        "loads_and_losses": [_document(frame) for frame in loads_and_losses(frames)],
    }


def _budgets(entities: int) -> Iterator[str]:
    yield f"Budgets where no version was loaded or lost, for up to {BUDGETED_ENTITIES} entities:"
    yield f"p99 below {FRAME_P99_MS:g} ms, and no frame of {FRAME_MS:g} ms or longer."
    if entities > BUDGETED_ENTITIES:
        yield f"With {entities} this is reported, and decides nothing."
    else:
        yield "What decides is the p99 without waits, that is without the time for which the"
        yield "engine or a worker was ready to run and the machine had no processor for it."


def _spreads(frames: list[Frame]) -> Iterator[str]:
    rows: list[tuple[str, Spread | None]] = [("all", Spread.of(frames))]
    rows.append(("no load, no loss", Spread.of(ordinary(frames))))
    rows.append(("the same without waits", Spread.of_own(ordinary(frames))))
    rows += [(f"with {cause}" if cause else TICK_ONLY, spread) for cause, spread in by_cause(frames).items()]
    for name, spread in rows:
        if spread is not None:
            times = f"{spread.p50:>10.2f}{spread.p99:>10.2f}{spread.max:>10.2f}"
            yield f"  {name:<22}{spread.count:>7}{times}"


def _table(frames: Iterable[Frame]) -> Iterator[str]:
    stages = "".join(f"{stage.value:>{width}}" for stage, width in WIDTHS.items())
    yield f"  {'at':>8}{'frame':>7}{'tick':>7}{stages}{'waits':>7}  what"
    for frame in frames:
        yield f"  {_times(frame)}  {', '.join(frame.causes) or TICK_ONLY}"


def _times(frame: Frame) -> str:
    stages = "".join(f"{frame.stages.get(stage, 0.0):>{width}.2f}" for stage, width in WIDTHS.items())
    waited = "–" if frame.waited_ms is None else f"{frame.waited_ms:.2f}"
    return f"{frame.second:>7.2f}s{frame.ms:>7.2f}{frame.tick_ms:>7.2f}{stages}{waited:>7}"


def _spread_document(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    return {"count": spread.count, "p50_ms": spread.p50, "p99_ms": spread.p99, "max_ms": spread.max}


def _document(frame: Frame) -> dict[str, Any]:
    return {
        "second": frame.second,
        "ms": frame.ms,
        "tick_ms": frame.tick_ms,
        "stages": {stage.value: ms for stage, ms in frame.stages.items()},
        "waited_ms": frame.waited_ms,
        "causes": [cause.value for cause in frame.causes],
    }
