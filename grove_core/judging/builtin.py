"""The judges that come with Grove, registered as any plugin's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.judging.evidence import Evidence
from grove_core.judging.threshold import Threshold
from grove_core.parts.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grove_core.parts.contracts import Judge


@hookimpl
def grove_register_judges() -> Mapping[str, Callable[..., Judge]]:
    """Offer `evidence`, the default, and `threshold`."""
    return {"evidence": Evidence, "threshold": Threshold}
