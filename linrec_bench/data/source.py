"""What a file of this room declares: one frozen `Source`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linrec_bench.data.sequences import Sequences
from linrec_bench.parameters import check_parameters, parameters_of

FOLDER_VARIABLE = "LINREC_BENCH_DATA"
"""The variable of the environment that names a folder of data sets."""

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
        return parameters_of(self.load)

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown, missing, or of a type that it does not have."""
        check_parameters(f"data {self.name}", self.parameters, params)
