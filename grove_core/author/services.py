"""Services: what a module answers to those that need it, and the handle by which these ask."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import msgspec

from grove_core.base.errors import InvalidInput, Refused, SchemaError
from grove_core.base.showing import brief

if TYPE_CHECKING:
    from grove_core.author.module import Module

Function = TypeVar("Function", bound=Callable[..., Any])
IDS = "ids"
"""What the first parameter of a service is called that answers for entities."""
MARK = "_is_service"
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
MODULE_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


class Parameter(msgspec.Struct, frozen=True, array_like=True):
    """A parameter of a service."""

    name: str
    kind: str
    """As `inspect` calls it, such as "POSITIONAL_OR_KEYWORD"."""
    has_default: bool


class Service(msgspec.Struct, frozen=True, array_like=True):
    """A service as it crosses the wire."""

    name: str
    signature: str
    """As its author wrote it, without `self`."""
    parameters: tuple[Parameter, ...]

    @property
    def per_entity(self) -> bool:
        """Whether it answers for each of the entities that it is asked about."""
        return bool(self.parameters) and self.parameters[0].name == IDS

    def read(self) -> inspect.Signature:
        """Return what its arguments can be held against; defaults stand for others."""
        return inspect.Signature(
            [
                inspect.Parameter(
                    each.name,
                    getattr(inspect.Parameter, each.kind),
                    default=None if each.has_default else inspect.Parameter.empty,
                )
                for each in self.parameters
            ]
        )


def service(function: Function) -> Function:
    """Mark a method of a module as a service, which versions of modules that need this one can call in their ticks.

    Two kinds. Where its first parameter is called `ids`, it answers for entities: it is called with those of this
    version, `self.entities` has their rows in the order of `ids`, other positional arguments have one value for each of
    them, and so must have what it returns: an array of shape (n, ...), or tuples and dicts of such. Entities that
    the module does not have are asked of its stable version; `self.unknown` is True for these, and they have the
    columns' defaults. Any other service is asked of stable, with all its entities.

    A service answers, and changes nothing: its columns are read only, and spawns, failed entities, observed values and
    a changed document are refused. What it takes and gives may be None, bool, int, float, str, bytes, list, dict, tuple
    and numpy arrays of numbers; a tuple arrives as a list.

    Who dies or hangs has a fault, which is dealt with at once, and whoever has the entities then is asked. So has one
    that raises, or breaks one of these rules, while it is not stable. Stable is trusted: what it raises is taken for
    the answer to a wrong question, and is raised by the call as `ServiceFailed`.
    """
    setattr(function, MARK, True)
    return function


def services_of(kind: type[Module]) -> tuple[Service, ...]:
    """Return the services of a module's class, by name.

    Raises:
        SchemaError: a name is one that a handle cannot have, or what is marked cannot be called as a service is.
    """
    found = []
    for name, method in inspect.getmembers(kind):
        if getattr(method, MARK, False) is not True:
            continue
        if name.startswith("_"):
            raise SchemaError(f"a service cannot be called {name!r}: its name must begin with a letter")
        if not inspect.isfunction(inspect.getattr_static(kind, name)):
            raise SchemaError(f"the service {name!r} is no plain method: mark one that takes self, and nothing else")
        signature = inspect.signature(method)
        parameters = list(signature.parameters.values())[1:]
        if parameters and parameters[0].name == IDS and parameters[0].kind not in POSITIONAL:
            raise SchemaError(f"the service {name!r} must take `ids` as a plain first argument, not {parameters[0]}")
        found.append(
            Service(
                name,
                str(signature.replace(parameters=parameters)),
                tuple(
                    Parameter(
                        each.name,
                        each.kind.name,
                        each.default is not each.empty,
                    )
                    for each in parameters
                ),
            )
        )
    return tuple(found)


class Line(Protocol):
    """How a call gets to who answers it."""

    def call(self, base: str, service: Service, given: tuple[Any, ...], shared: Mapping[str, Any]) -> Any:
        """Call a service of a module, and return its answer."""
        ...


class Base:
    """The handle of a module that this one needs: each of its services is a method.

    Args:
        module: its name.
        version: its stable version, for messages.
        services: what that offers.
        line: how calls get there.
    """

    __slots__ = ("_calls", "_line", "_module", "_services", "_version")

    def __init__(self, module: str, version: str, services: Iterable[Service], line: Line) -> None:
        self._module, self._version, self._line = module, version, line
        self._services = {each.name: each for each in services}
        self._calls: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._services:
            there = ", ".join(self._services) or "none"
            raise AttributeError(f"{self._module}@{self._version} has no service {name!r}; it has: {there}")
        if name not in self._calls:
            service = self._services[name]
            self._calls[name] = partial(_call, self._line, self._module, service, service.read())
        return self._calls[name]

    def __dir__(self) -> list[str]:
        return sorted(self._services)

    def __repr__(self) -> str:
        return f"<{self._module}@{self._version}: {', '.join(self._services) or 'no services'}>"


def _call(
    line: Line, module: str, service: Service, signature: inspect.Signature, /, *given: Any, **shared: Any
) -> Any:
    try:
        signature.bind(*given, **shared)
    except TypeError as error:
        raise InvalidInput(f"{module}.{service.name}{service.signature}: {error}") from None
    return line.call(module, service, given, shared)


class Needs:
    """A module that this one needs, and the handle of it, as an attribute of the class.

    `players = Needs("players>=1.2,<2")` requires that module as `get_dependencies` would, and `self.players.gold(ids)`
    calls a service of it: in `initialize`, `process` and services, in the same tick, after that module's own. It can be
    replaced in an instance, for a test without an engine.

    Args:
        requirement: PEP 508, on the module's name.
    """

    def __init__(self, requirement: str) -> None:
        found = MODULE_NAME.match(requirement) if isinstance(requirement, str) else None
        self.requirement = requirement if isinstance(requirement, str) else brief(requirement)
        self.module = found[1] if found else ""
        """Its name; whether all of it can be read is found out when the version is loaded."""

    @overload
    def __get__(self, instance: None, owner: type) -> Needs: ...

    @overload
    def __get__(self, instance: Module, owner: type) -> Base: ...

    def __get__(self, instance: Module | None, owner: type) -> Needs | Base:
        """Return the handle.

        Raises:
            Refused: the module was made by no engine.
        """
        if instance is None:
            return self
        try:
            return instance._bases[self.module]
        except KeyError:
            raise Refused(
                f"{self.requirement} is there only while a worker runs this version; in a test without an engine, set "
                f"the attribute to what is to answer"
            ) from None

    if TYPE_CHECKING:

        def __set__(self, instance: Module, value: Any) -> None:
            """Replace the handle in one instance: for type checkers only, as an attribute of it does that."""


def needs_of(kind: type[Module]) -> tuple[Needs, ...]:
    """Return what a module's class says by `Needs`, in the order in which it was written, base classes last."""
    found: dict[str, Any] = {}
    for each in kind.__mro__:
        for name, value in vars(each).items():
            found.setdefault(name, value)
    return tuple(value for value in found.values() if isinstance(value, Needs))
