"""The file of samples as it is read: what was closed, and no further."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from linrec_bench.results.rows import COLUMNS, TRIAL

if TYPE_CHECKING:
    import pandas as pd

INTEGERS = ("seq_len", "batch_size", "hidden_size", "heads", "layers", "seed", "round", "repeat")
TEXTS = tuple(name for name in COLUMNS if name not in (*INTEGERS, "causal", "value"))


_BLOCK = 2**16


class StoreError(ValueError):
    """A results folder that is damaged, foreign or absent; nothing in it was changed."""


@dataclass(frozen=True)
class SamplesView:
    """What a file of samples holds: the rows up to the last closed trial, typed, texts as categories
    (`plain`), the byte where they end, and how many rows of trials that were cut off come after."""

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
        if path.with_name("summary.csv").is_file():
            raise StoreError(
                f"{path.parent}: is kept without its samples.csv, of which intervals are made; expected a "
                f"whole run (linrec-bench run {path.with_name('suite.yaml')})"
            ) from error
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    return _parsed(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _parsed(path: Path, *_: int) -> SamplesView:
    from pyarrow import ArrowInvalid

    try:
        with path.open("rb") as file:
            header = file.readline()
            if header.decode(errors="replace") != ",".join(COLUMNS) + "\n":
                raise StoreError(f"{path}:1: not the columns of linrec-bench's samples; left untouched")
            size = file.seek(0, os.SEEK_END)
            # A cell never holds a line break: what comes after the last one is a row that was cut off.
            stop = _start_of_lines(file, size, 0)
            try:
                frame = _typed(_Part(file, len(header), stop))
            except ArrowInvalid as error:
                file.seek(len(header))
                damage = _place(file.read(stop - len(header)), str(error))
                raise StoreError(f"{path}{damage}; left untouched") from error
            closing = np.flatnonzero((frame["measure"] == TRIAL).to_numpy())
            closed = int(closing[-1]) + 1 if len(closing) else 0
            end = _start_of_lines(file, stop, len(frame) - closed)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    return SamplesView(frame.iloc[:closed], end, len(frame) - closed + int(size > stop))


def _start_of_lines(file: IO[bytes], end: int, lines: int) -> int:
    """The byte where the last `lines` whole lines before byte `end` begin; with 0, where the last one ends.

    0 where there are fewer."""
    start, left = end, lines + 1
    while start:
        start = max(0, start - _BLOCK)
        file.seek(start)
        block = file.read(min(_BLOCK, end - start))
        at = len(block)
        while left and (at := block.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if not left:
                return start + at + 1
        end = start
    return 0


class _Part(io.RawIOBase):
    """Bytes of a file from `start` up to `stop`, read a block at a time: the text of a million rows is as
    large as their table."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        self._file, self._left = file, stop - start
        file.seek(start)

    def is_empty(self) -> bool:
        return not self._left

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block


def _typed(part: _Part) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import csv

    types: dict[str, pa.DataType] = dict.fromkeys(TEXTS, pa.dictionary(pa.int32(), pa.string()))
    types |= dict.fromkeys(INTEGERS, pa.int64()) | {"value": pa.float64(), "causal": pa.bool_()}
    if part.is_empty():
        table = pa.schema(list(types.items())).empty_table()
    else:
        table = csv.read_csv(
            part,
            read_options=csv.ReadOptions(column_names=list(COLUMNS), use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=types, strings_can_be_null=False, null_values=["", "nan"]
            ),
        )
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame.assign(**{name: _in_order(frame[name]) for name in categories_in(frame)})


def _in_order(texts: pd.Series) -> pd.Series:
    """Categories in the order of the alphabet, in which texts are sorted and grouped."""
    return texts.cat.reorder_categories(sorted(texts.cat.categories))


def categories_in(frame: pd.DataFrame) -> list[str]:
    """The columns of texts that are held as categories."""
    import pandas as pd

    return [str(name) for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with texts in place of categories.

    A million rows repeat few texts, which categories hold once each; but these can be neither replaced,
    joined with others nor put together.
    """
    return frame.astype({name: frame[name].cat.categories.dtype for name in categories_in(frame)})


def _place(body: bytes, message: str) -> str:
    """Where a row is damaged and how, in one line."""
    import csv

    for number, line in enumerate(body.decode(errors="replace").splitlines(), start=2):
        cells = len(next(csv.reader([line]), []))
        if cells != len(COLUMNS):
            return f":{number}: damaged, {cells} columns; expected {len(COLUMNS)}"
    return f": damaged, {' '.join(message.split())}"
