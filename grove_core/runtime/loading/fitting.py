"""Whether code may take the place of a loaded version: by its number, its schema, and what modules need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from packaging.version import Version

from grove_core.author.schema import ColumnSpec
from grove_core.base.errors import BrokenPackage, PatchRefused
from grove_core.base.records import VersionRecord
from grove_core.base.showing import brief
from grove_core.runtime.state.dependencies import refuse_unmet, relying_on
from grove_core.runtime.state.state import Description, ModuleState


def code_for(records: Sequence[VersionRecord], running: VersionRecord, *, named: bool) -> VersionRecord:
    """Choose the code that takes the place of a version: the highest patch release of it, or the version itself.

    Args:
        records: what is there.
        running: of the version that is loaded.
        named: whether somebody said where the code is: else pre-releases are left out.

    Raises:
        PatchRefused: there is none; it says what there is, and what to do with that.
        BrokenPackage: there is one that cannot be read.
    """
    assert running.version is not None
    found = {record.version: record for record in records if record.module == running.module and record.version}
    reasons = {version: _why_not(version, running.version, named) for version in found}
    if fitting := [version for version, reason in reasons.items() if reason is None]:
        chosen = found[max(fitting)]
        if chosen.error is not None:
            raise BrokenPackage(f"it cannot be loaded: {chosen.error}", module=chosen.module, version=chosen.version)
        return chosen
    if not reasons:
        broken = [f"{record.distribution} is broken: {record.error}" for record in records if record.error]
        there = "; ".join([*broken, *sorted({each.module for each in records if not each.error})]) or "nothing"
        raise PatchRefused(f"there is no code of it there; there is {there}", module=running.module)
    release = running.version.release
    nearest = min(reasons, key=lambda each: (each.release[:2] != release[:2], each.release[:1] != release[:1], each))
    raise PatchRefused(str(reasons[nearest]), module=running.module, version=running.version)


def _why_not(version: Version, running: Version, named: bool) -> str | None:
    """Return why a version is no patch of the one that runs, or None."""
    if version == running:
        return None
    if (version.epoch, version.major, version.minor) != (running.epoch, running.major, running.minor):
        return (
            f"{version} is no patch release of {running}: load it as a version of its own with load_module_version, "
            f"and split"
        )
    if version < running:
        return (
            f"{version} is older than {running}, which runs: undo_patch goes back to the code that ran before, and "
            f"load_module_version loads {version} beside it"
        )
    if version.is_prerelease and not named:
        return f"{version} is a pre-release; name it, by path="
    return None


def refuse_misfit(modules: Mapping[str, ModuleState], running: Description, code: Description) -> None:
    """Refuse code that has another schema, or needs what is not loaded.

    Raises:
        PatchRefused: it says which columns differ.
        DependencyError: it says what is missing.
    """
    if running.schema != code.schema and (differences := [*_differences(running.schema.specs, code.schema.specs)]):
        raise PatchRefused(
            f"the code has another schema: {'; '.join(differences)}. Give it a higher minor or major version and a "
            f"lens, load it with load_module_version, and split",
            module=running.record.module,
            version=code.record.version,
        )
    refuse_unmet(modules, code)


def refuse_unmet_after(
    modules: Mapping[str, ModuleState], state: ModuleState, source: Version, target: Version
) -> None:
    """Refuse a number that a loaded version of another module does not take, while it takes the one there is.

    Raises:
        PatchRefused: it names who does not.
    """
    for who, one, need in relying_on(modules, state.name):
        if need.fits(source) and not need.fits(target):
            raise PatchRefused(
                f"{who.name}@{one.version} requires {brief(need.text)}, which {target} is not: patch or unload "
                f"that first, or load {target} as a version of its own",
                module=state.name,
                version=source,
            )


def _differences(mine: Iterable[ColumnSpec], theirs: Iterable[ColumnSpec]) -> Iterable[str]:
    """Say how columns differ, also in their order."""
    old, new = ({spec.name: spec for spec in specs} for specs in (mine, theirs))
    yield from (f"{name} is gone" for name in old if name not in new)
    yield from (f"{name} is new" for name in new if name not in old)
    both = [name for name in old if name in new]
    for name in both:
        if _told(old[name]) != _told(new[name]):
            yield f"{name} was {_told(old[name])}, and is {_told(new[name])}"
    if not old.keys() ^ new.keys() and list(old) != list(new):
        yield f"the columns stand in another order: {', '.join(new)}"


def _told(spec: ColumnSpec) -> str:
    column = spec.column
    parts = [column.dtype, f"default {column.default}"]
    parts += [f"{name} {bound}" for name, bound in (("low", column.low), ("high", column.high)) if bound is not None]
    parts += [word for word, said in (("nan", column.nan), ("constant", spec.constant)) if said]
    return ", ".join(map(str, parts))
