"""Where in a file each value of a resolved suite was written, for the messages that name it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from linrec_bench.suite.text import Location, Source


@dataclass(frozen=True)
class Origin:
    """The file, and what of it made the suite.

    `layers` are the mappings that were laid over each other, the one that wins first; `sweeps_in` is the one
    whose list of sweeps counts, None where the defaults at the top are the only sweep. `flags` are the keys
    that `--set` gave.
    """

    source: Source
    layers: tuple[Location, ...]
    flags: tuple[Location, ...]
    sweeps_in: Location | None

    def said(self, location: Location, message: str) -> str:
        """`file:line:column: path.of.the.value: message`, or the flag in place of the file."""
        where, path = self._where(location)
        for keys in self.flags:
            if path and _dotted(path).startswith(_dotted(keys)):
                where = f"--set {_dotted(keys)}"
        return f"{where}: {_dotted(path)}: {message}" if path else f"{where}: {message}"

    def described(self, error: ValidationError) -> str:
        """One line for the first mistake, with the number of further ones."""
        first, *more = error.errors()
        location: Location = tuple(first["loc"])
        # An enclosing value that fails only because of the first error is no error of its own.
        more = [other for other in more if tuple(other["loc"]) != location[: len(other["loc"])]]
        name = first.get("ctx", {}).get("name")
        if name is not None:
            location = (*location, name)
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] not in ("unknown_key", "value_error", "missing"):
            message = f"{message}, got {first.get('input')!r}"
        also = f" (and {len(more)} more)" if more else ""
        return self.said(location, message + also)

    def _where(self, location: Location) -> tuple[str, Location]:
        """The place of a value of the resolved suite, and its path in the file.

        A resolved value comes from the sweep itself, from a scale or a device, or from the defaults at the
        top; when no part of the file wrote it (something is missing), the nearest enclosing value stands for
        it.
        """
        candidates = [(*layer, *location) for layer in self.layers]
        if location[:1] == ("sweeps",):
            inner = location[2:]
            candidates = [] if self.sweeps_in is None else [(*self.sweeps_in, *location)]
            candidates += [(*layer, *inner) for layer in self.layers]
            location = inner if self.sweeps_in is None else location
        shortest = min(len(candidate) for candidate in candidates)
        for cut in range(shortest + 1):
            for candidate in candidates:
                place = self.source.place(candidate[: len(candidate) - cut])
                if place is not None and len(candidate) > cut:
                    return place, location
        return f"{self.source.name}:1:1", location


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))
