"""The file of samples as it is read: what was closed, and no further."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linrec_bench.results.rows import COLUMNS, TRIAL

if TYPE_CHECKING:
    import pandas as pd

INTEGERS = ("seq_len", "batch_size", "hidden_size", "heads", "layers", "seed", "round", "repeat")


class StoreError(ValueError):
    """A results folder that is damaged, foreign or absent; nothing in it was changed."""


@dataclass(frozen=True)
class SamplesView:
    """What a file of samples holds: the rows up to the last closed trial, typed, the byte where they end, and
    how many rows of trials that were cut off come after."""

    frame: pd.DataFrame
    end: int
    cut_off: int


def read_samples(path: Path) -> SamplesView:
    """The file as it is now; it is parsed once for each state in which it is found.

    Raises `StoreError`, with the row, for a damaged file.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    return _parsed(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _parsed(path: Path, *_: int) -> SamplesView:
    from pyarrow import ArrowInvalid

    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    header, newline, body = data.partition(b"\n")
    if not newline or header.decode(errors="replace") != ",".join(COLUMNS):
        raise StoreError(f"{path}:1: not the columns of linrec-bench's samples; left untouched")
    ends = np.flatnonzero(np.frombuffer(body, dtype=np.uint8) == ord("\n")) + 1
    torn = int(len(body) > (ends[-1] if len(ends) else 0))
    # A cell never holds a line break: what comes after the last one is a row that was cut off.
    whole = body[: ends[-1]] if len(ends) else b""
    try:
        frame = _typed(whole)
    except ArrowInvalid as error:
        raise StoreError(f"{path}{_place(whole, str(error))}; left untouched") from error
    closing = np.flatnonzero((frame["measure"] == TRIAL).to_numpy())
    closed = int(closing[-1]) + 1 if len(closing) else 0
    end = len(header) + 1 + (int(ends[closed - 1]) if closed else 0)
    return SamplesView(frame.iloc[:closed], end, len(frame) - closed + torn)


def _typed(body: bytes) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import csv

    types = dict.fromkeys(COLUMNS, pa.string())
    types |= dict.fromkeys(INTEGERS, pa.int64()) | {"value": pa.float64(), "causal": pa.bool_()}
    if not body:
        empty: pd.DataFrame = pa.schema(list(types.items())).empty_table().to_pandas()
        return empty
    frame: pd.DataFrame = csv.read_csv(
        pa.BufferReader(body),
        read_options=csv.ReadOptions(column_names=list(COLUMNS), use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, null_values=["", "nan"]
        ),
    ).to_pandas()
    return frame


def _place(body: bytes, message: str) -> str:
    """Where a row is damaged and how, in one line."""
    import csv

    for number, line in enumerate(body.decode(errors="replace").splitlines(), start=2):
        cells = len(next(csv.reader([line]), []))
        if cells != len(COLUMNS):
            return f":{number}: damaged, {cells} columns; expected {len(COLUMNS)}"
    return f": damaged, {' '.join(message.split())}"
