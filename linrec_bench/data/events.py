"""A log of events, read part by part: the common form of all sources that read files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from linrec_bench.data.bad_rows import BadRows

OnBadRows = Literal["refuse", "drop"]
"""What to do with rows that cannot be read."""

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Parts = Callable[[list[BadRows]], Iterator["pa.Table"]]
"""Reads the log from its start: tables of user, item (int64 or large_string) and time (int64), a bounded
number of rows each; appends a `BadRows` for each file that it reads."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """A log of events and how to prepare it.

    `identity` changes when the files change; it is part of the cache key. `features` returns the features of
    items (names joined by |), indexed by the text of their ids; None for no features. A log without times is
    in the order of time.
    """

    parts: Parts
    identity: tuple[str, ...]
    min_interactions: int
    on_bad_rows: OnBadRows
    features: Callable[[], pd.Series | None] | None = None
    has_times: bool = True


def identity_of(path: Path) -> str:
    """Path, size, inode and times of a file."""
    status = path.stat()
    # Copies by rsync keep size and time of modification; neither the inode nor its own time can be kept.
    return f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}:{status.st_ctime_ns}"


def with_features(events: Events, file: Path, read: Callable[[], pd.Series]) -> Events:
    """The same log with features of its items, which `read` reads from `file`."""
    return replace(events, features=read, identity=(*events.identity, identity_of(file)))
