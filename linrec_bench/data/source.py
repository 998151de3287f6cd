"""What a file of this room declares: one frozen `Source`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from linrec_bench.data.sequences import Sequences
from linrec_bench.registry import did_you_mean

Progress = Callable[[int, int], None]
"""`(done_bytes, total_bytes) -> None`, called as a download goes on; the total is 0 when it is not known."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Declaration of one source. The keyword parameters of `load`, typed and defaulted, are its parameters.

    `fetch(folder, progress)` downloads what `load` reads, into the folder or (None) the cache, and returns
    the file; it is None where there is nothing to download.
    """

    name: str
    title: str
    licence: str
    load: Callable[..., Sequences]
    fetch: Callable[[Path | None, Progress], Path] | None = None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.load).parameters

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown, missing, or of a type that it does not have."""
        hints = typing.get_type_hints(self.load)
        for name, value in params.items():
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise ValueError(
                    f"data {self.name} has no parameter {name!r}; it has: {known}."
                    f"{did_you_mean(name, self.parameters)}"
                )
            try:
                TypeAdapter(hints[name]).validate_python(value, strict=True)
            except ValidationError as error:
                raise ValueError(
                    f"data {self.name}: {name} is {value!r}; {error.errors()[0]['msg']}"
                ) from None
        for name, parameter in self.parameters.items():
            if parameter.default is parameter.empty and name not in params:
                raise ValueError(f"data {self.name} needs the parameter {name!r}; it is missing")
