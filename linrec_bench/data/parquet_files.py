"""Parquet files of events, one or a folder of them: a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.columns import check_columns, checked
from linrec_bench.data.reading_progress import tell
from linrec_bench.data.times import Unit

_BLOCK_ROWS = 2**19


def files_of(path: Path) -> list[Path]:
    """The file, or those of a folder in the order of their names, without hidden ones.

    Raises `ValueError` for a folder without parquet files.
    """
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.parquet"))
    files = [file for file in files if file.is_file() and file.relative_to(path).parts[0][0] not in "._"]
    if not files:
        raise ValueError(f"{path}: a folder without files that end in .parquet")
    return files


def parquet_parts(
    files: Sequence[Path],
    where: str,
    columns: Sequence[str],
    times: str,
    unit: Unit,
    bad_rows: list[BadRows],
) -> Iterator[pa.Table]:
    """The events of the files, one after the other; `where` is the path in messages."""
    for file in files:
        name = where if len(files) == 1 and file.name == Path(where).name else f"{where}: {file.name}"
        bad_rows.append(BadRows(name, "row"))
        try:
            yield from _parts(file, name, columns, times, unit, bad_rows[-1])
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{name}: cannot be read as parquet; {' '.join(str(error).split())}") from None


def _parts(
    file: Path, where: str, columns: Sequence[str], times: str, unit: Unit, bad_rows: BadRows
) -> Iterator[pa.Table]:
    # Any: pyarrow's own types are not declared.
    with parquet.ParquetFile(file) as opened:
        table: Any = opened
        check_columns(columns, table.schema_arrow.names, where)
        rows, size = 0, file.stat().st_size
        groups = range(table.num_row_groups)
        # One group at a time: a reader of all groups keeps the earlier ones in memory.
        batches = (
            table.iter_batches(_BLOCK_ROWS, row_groups=[group], columns=list(columns)) for group in groups
        )
        for batch in chain.from_iterable(batches):
            part = pa.Table.from_batches([batch]).select(list(columns))
            yield checked(
                part,
                names=columns,
                numbers=rows + 1 + np.arange(len(part)),
                bad_rows=bad_rows,
                times=times,
                unit=unit,
            )
            rows += len(part)
            tell(size * rows // table.metadata.num_rows, size)
