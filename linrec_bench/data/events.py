"""A log of events that is read part by part: what every source of files hands to the builder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from linrec_bench.data.faults import Faults

if TYPE_CHECKING:
    import pyarrow as pa

OnBadRows = Literal["refuse", "drop"]
"""What is done about rows that lack a value or have no whole number for a time."""

Parts = Callable[[list[Faults]], "Iterator[pa.Table]"]
"""Reads the log from its start: tables of user, item (int64 or large_string) and time (int64), a bounded
number of rows each; appends a `Faults` for each file that it reads."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """A log of events. `identity` changes with its content: what is prepared from it is kept under that."""

    parts: Parts
    identity: tuple[str, ...]
    min_interactions: int
    on_bad_rows: OnBadRows


def identity_of(path: Path) -> str:
    """A file as one sees it without reading it: its place, its size and when it was written."""
    status = path.stat()
    return f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
