"""Names to things, with one error for an unknown name: what was given, what exists, what was meant."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for a near miss, otherwise an empty string."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


class UnknownName(ValueError):
    """A name that no entry of a registry carries."""


class Registry(Mapping[str, T]):
    """A read-only dict built once; a duplicate name raises `ValueError`, a missing one `UnknownName`."""

    def __init__(self, kind: str, entries: Iterable[tuple[str, T]]) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        for name, entry in entries:
            if name in self._entries:
                raise ValueError(f"two {kind} entries are named {name!r}; names must be unique")
            self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            known = ", ".join(self._entries)
            raise UnknownName(
                f"unknown {self.kind} {name!r}; expected one of: {known}.{did_you_mean(name, self._entries)}"
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def specs_in(package: str, kind: type[T]) -> list[T]:
    """The `SPEC` of each file of a package that has one, in the order of the files' names."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    files = (importlib.import_module(f"{package}.{each.name}") for each in found if not each.ispkg)
    specs = [file.SPEC for file in files if hasattr(file, "SPEC")]
    assert all(isinstance(spec, kind) for spec in specs), f"a SPEC of {package} is no {kind.__name__}"
    return specs
