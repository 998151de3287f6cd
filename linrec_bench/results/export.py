"""A table of rows into one file that other tools read: Parquet or CSV, by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.results.samples_file import plain
from linrec_bench.whole_file import replaced

if TYPE_CHECKING:
    import pandas as pd


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet may compute."""


_ROWS = 2**17
"""Written at a time."""


def export(frames: Sequence[pd.DataFrame], path: Path, *, escape_formulas: bool = False) -> None:
    """Write tables of the same columns, one after the other, to `path` (.parquet or .csv), replaced whole;
    with `escape_formulas` texts that a spreadsheet would compute begin with an apostrophe.

    Raises `ValueError` for another ending and a folder that cannot be written.
    """
    write = _WRITERS.get(path.suffix)
    if write is None:
        raise ValueError(f"{path}: unknown ending {path.suffix!r}; expected {' or '.join(_WRITERS)}")
    parts = (
        plain(frame.iloc[start : start + _ROWS])
        for frame in frames
        for start in range(0, max(len(frame), 1), _ROWS)
    )
    with replaced(path) as temporary:
        write(map(_safe, parts) if escape_formulas else parts, temporary)


def _safe(frame: pd.DataFrame) -> pd.DataFrame:
    texts = {name: column.map(_escaped) for name, column in frame.items() if column.dtype.kind in "OTU"}
    return frame.assign(**{str(name): column for name, column in texts.items()})


def _escaped(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _parquet(parts: Iterable[pd.DataFrame], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    tables = (pa.Table.from_pandas(part, preserve_index=False) for part in parts)
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _csv(parts: Iterable[pd.DataFrame], path: Path) -> None:
    for number, part in enumerate(parts):
        part.to_csv(path, mode="a", header=not number, index=False)


_WRITERS: dict[str, Callable[[Iterable[pd.DataFrame], Path], None]] = {".parquet": _parquet, ".csv": _csv}
