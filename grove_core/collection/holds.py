"""What keeps a version from being collected."""

from __future__ import annotations

from grove_core.base.records import Role, VersionUse


class Stable:
    """Holds the stable version: it is where everything goes when another one fails."""

    def reason(self, use: VersionUse) -> str | None:
        """Return why the version must stay, or None."""
        return "it is the stable version" if use.role is Role.STABLE else None


class Previous:
    """Holds the previous stable version, so that a rollback need not load it again."""

    def reason(self, use: VersionUse) -> str | None:
        """Return why the version must stay, or None."""
        return "it is the version that a rollback goes to" if use.role is Role.PREVIOUS else None
