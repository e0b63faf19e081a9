"""The validators that come with Grove, registered as any plugin's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.parts.hookspecs import hookimpl
from grove_core.validating.bounded_change import BoundedChange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grove_core.parts.contracts import Validator


@hookimpl
def grove_register_validators() -> Mapping[str, Callable[..., Validator]]:
    """Offer `bounded_change`; none is in force by default."""
    return {"bounded_change": BoundedChange}
