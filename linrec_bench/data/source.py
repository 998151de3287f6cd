"""`Source`: the declaration of a data set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linrec_bench.data.events import Events
from linrec_bench.data.sequences import Sequences
from linrec_bench.parameters import check_parameters, parameters_of

Progress = Callable[[int, int], None]
"""`(done_bytes, total_bytes) -> None`, called during a download; the total is 0 if unknown."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file to download: its address, its local name, and its hash, `sha256:...` or `md5:...`."""

    url: str
    file: str
    known_hash: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """Declaration of a data set. Its parameters are the keyword parameters of `read`, with type and default.

    `read` returns a log of events, which is prepared once and cached, or generated histories. `remote`: the
    download, None if there is none.
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
        """Raise `ValueError` for a parameter that is unknown, missing, or of a wrong type."""
        check_parameters(f"data {self.name}", self.parameters, params)

    def settings(self, params: Mapping[str, object]) -> dict[str, object]:
        """All parameters: `params`, and the defaults of the others."""
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        return defaults | dict(params)
