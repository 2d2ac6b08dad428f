"""Find the providers: each file beside this one that describes one, and each that an installed package registers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules

from integrations.providers.errors import ProviderInvalid
from integrations.providers.provider import Provider

ENTRY_POINTS = "agentplatform.providers"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def found() -> tuple[Provider, ...]:
    """Return all providers, by their titles.

    Raises:
        ProviderInvalid: what was found is none, or two have one name.
    """
    return checked([*_own(), *installed(entry_points(group=ENTRY_POINTS))])


def installed(registered: Iterable[EntryPoint]) -> Iterator[tuple[str, object]]:
    """Yield where each registered provider is, and what is there.

    Raises:
        ProviderInvalid: it can not be loaded.
    """
    for entry_point in registered:
        try:
            yield entry_point.value, entry_point.load()
        except (ImportError, AttributeError) as error:
            raise ProviderInvalid(f"{entry_point.value!r} can not be loaded: {error}.") from error


def checked(those: Iterable[tuple[str, object]]) -> tuple[Provider, ...]:
    """Return what was found at these places, by its title.

    Raises:
        ProviderInvalid: it is no provider, its name is none, or two have one name.
    """
    by_name: dict[str, Provider] = {}
    for place, provider in those:
        if not isinstance(provider, Provider):
            raise ProviderInvalid(f"{place!r} is not a Provider.")
        if not _NAME.fullmatch(provider.name):
            raise ProviderInvalid(
                f"{place!r}: the name {provider.name!r} is not 1 to 32 small letters, digits, underscores."
            )
        if by_name.setdefault(provider.name, provider) is not provider:
            raise ProviderInvalid(f"{place!r} has the name {provider.name!r}, which belongs to another.")
    return tuple(sorted(by_name.values(), key=lambda provider: provider.title.lower()))


def _own() -> Iterator[tuple[str, object]]:
    for module in iter_modules([str(Path(__file__).parent)]):
        name = f"{__package__}.{module.name}"
        described = vars(import_module(name))
        if "PROVIDER" in described:
            yield name, described["PROVIDER"]
