"""A table of rows into one file that other tools read: Parquet or CSV, by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.whole_file import replaced

if TYPE_CHECKING:
    import pandas as pd


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet may compute."""


def export(frame: pd.DataFrame, path: Path, *, escape_formulas: bool = False) -> None:
    """Write `frame` to `path` (.parquet or .csv), replaced whole; with `escape_formulas` texts that a
    spreadsheet would compute begin with an apostrophe.

    Raises `ValueError` for another ending and a folder that cannot be written.
    """
    write = _WRITERS.get(path.suffix)
    if write is None:
        raise ValueError(f"{path}: unknown ending {path.suffix!r}; expected {' or '.join(_WRITERS)}")
    if escape_formulas:
        frame = frame.apply(lambda column: column.map(_escaped) if column.dtype.kind in "OTU" else column)
    with replaced(path) as temporary:
        write(frame, temporary)


def _escaped(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, compression="zstd")


def _csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {".parquet": _parquet, ".csv": _csv}
