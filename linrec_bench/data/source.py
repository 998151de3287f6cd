"""What a file of this room declares: one frozen `Source`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linrec_bench.data.events import Events
from linrec_bench.data.sequences import Sequences
from linrec_bench.parameters import check_parameters, parameters_of

Progress = Callable[[int, int], None]
"""`(done_bytes, total_bytes) -> None`, called as a download goes on; the total is 0 when it is not known."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file that is downloaded on the user's word: where it is, what it is called here, its hash.

    `known_hash` names its kind: `sha256:...` or `md5:...`.
    """

    url: str
    file: str
    known_hash: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """Declaration of one source. The keyword parameters of `read`, typed and defaulted, are its parameters.

    `read` gives a log of events, which is prepared once and kept, or histories that are made on the spot.
    `remote` is what can be downloaded of it, None where there is nothing.
    """

    name: str
    title: str
    licence: str
    read: Callable[..., Events] | Callable[..., Sequences]
    remote: Remote | None = None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return parameters_of(self.read)

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown, missing, or of a type that it does not have."""
        check_parameters(f"data {self.name}", self.parameters, params)

    def settings(self, params: Mapping[str, object]) -> dict[str, object]:
        """Every parameter, those that were not given with their defaults."""
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        return defaults | dict(params)
