"""A log of events that is read part by part: what every source of files hands to the builder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from linrec_bench.data.bad_rows import Faults

OnBadRows = Literal["refuse", "drop"]
"""What is done about rows that lack a value or have no whole number for a time."""

Parts = Callable[[list[Faults]], Iterator[pa.Table]]
"""Reads the log from its start: tables of user, item (int64 or large_string) and time (int64), a bounded
number of rows each; appends a `Faults` for each file that it reads."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """A log of events, and what is to become of it.

    `identity` changes with what is read: histories prepared from it are kept under that. `features` reads the
    names of the features of items (joined by |) by the text of their ids; None where there are none.
    """

    parts: Parts
    identity: tuple[str, ...]
    min_interactions: int
    on_bad_rows: OnBadRows
    features: Callable[[], pd.Series | None] | None = None


def identity_of(path: Path) -> str:
    """A file as one sees it without reading it: its place, its size and when it was written."""
    status = path.stat()
    return f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"


def with_features(events: Events, file: Path, read: Callable[[], pd.Series]) -> Events:
    """The same log with features of its items, which `read` takes from `file`."""
    return replace(events, features=read, identity=(*events.identity, identity_of(file)))
