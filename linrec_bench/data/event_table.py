"""`csv`, `parquet` and `amazon`: a file of events with a column each for the user, the item and the time.

Ids are text or numbers; in a csv they are text, so that 007 and 7 differ. Times are whole numbers of any unit
(1700000000 equals 1700000000.0), or, in parquet, timestamps in their unit. Fractions are an error, because
rounding would change the order of events: scale them to a smaller unit. Only these columns are read, a block
of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import parquet

from linrec_bench.data import item_features
from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.columns import Times, check_columns, checked
from linrec_bench.data.events import Events, OnBadRows, identity_of, with_features
from linrec_bench.data.folders import existing
from linrec_bench.data.source import Source
from linrec_bench.data.text_files import Form, read_text

_BLOCK_ROWS = 2**19


def read_csv(
    *,
    path: str,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    times: Times = "integer",
    separator: str = ",",
    min_interactions: int = 5,
    on_bad_rows: OnBadRows = "refuse",
    features: str | None = None,
    feature: str = "features",
) -> Events:
    """The histories of a text file with a header line; a file that ends in .gz is decompressed.

    A relative path is also searched in the folder LINREC_BENCH_DATA. `times: iso` reads times such as
    2010-10-19T23:55:27Z, in seconds. `features` is a file of the same form with one line per item: the column
    `item`, and the column `feature` with its features separated by |.

    Raises `ValueError` with the file and line of the first missing or damaged values. `on_bad_rows: drop`
    skips and counts lines without a value or with a time that is not a whole number.
    """
    form = Form(columns=(user, item, time), separator=_one_character("csv", separator), times=times)
    file = existing(path)
    events = text_events(file, form, where=path, min_interactions=min_interactions, on_bad_rows=on_bad_rows)
    if features is None:
        return events
    table = existing(features)
    read = partial(
        item_features.read_csv, table, where=features, item=item, column=feature, separator=separator
    )
    return with_features(events, table, read)


def read_amazon(
    *,
    path: str,
    first: Literal["user", "item"] = "user",
    min_interactions: int = 5,
    on_bad_rows: OnBadRows = "refuse",
) -> Events:
    """The histories of a file of Amazon ratings, plain or .gz, without a header line.

    Its fields are user, item, rating and time; every rating is an event. Use `first: item` for editions that
    begin with the item.

    Raises `ValueError` as the source csv does.
    """
    form = Form(columns=(0, 1, 3) if first == "user" else (1, 0, 3))
    return text_events(
        existing(path), form, where=path, min_interactions=min_interactions, on_bad_rows=on_bad_rows
    )


def read_parquet(
    *,
    path: str,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    min_interactions: int = 5,
    on_bad_rows: OnBadRows = "refuse",
) -> Events:
    """The histories of a parquet file; rows are counted from 1.

    Raises `ValueError` with the file and row of missing or damaged values; `on_bad_rows` as in csv.
    """
    file = existing(path)
    return Events(
        parts=partial(_parquet_parts, file, path, [user, item, time]),
        identity=(identity_of(file),),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
    )


def text_events(
    file: Path, form: Form, *, where: str, min_interactions: int, on_bad_rows: OnBadRows
) -> Events:
    """The log in one text file; `where` is its name in messages."""

    def parts(bad_rows: list[BadRows]) -> Iterator[pa.Table]:
        bad_rows.append(BadRows(where, "line"))
        return read_text(file, form, bad_rows=bad_rows[-1])

    return Events(
        parts=parts,
        identity=(identity_of(file),),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
    )


def _one_character(source: str, separator: str) -> str:
    if len(separator) != 1:
        raise ValueError(f"data {source}: separator is {separator!r}; expected one character")
    return separator


def _parquet_parts(file: Path, where: str, columns: list[str], bad_rows: list[BadRows]) -> Iterator[pa.Table]:
    bad_rows.append(BadRows(where, "row"))
    try:
        # Any: pyarrow's own types are not declared.
        table: Any = parquet.ParquetFile(file)
        check_columns(columns, table.schema_arrow.names, where)
        rows = 0
        groups = range(table.num_row_groups)
        # One group at a time: a reader of all groups keeps the earlier ones in memory.
        batches = (table.iter_batches(_BLOCK_ROWS, row_groups=[group], columns=columns) for group in groups)
        for batch in chain.from_iterable(batches):
            part = pa.Table.from_batches([batch]).select(columns)
            yield checked(
                part,
                names=columns,
                number=(rows + 1).__add__,
                bad_rows=bad_rows[-1],
                times="integer",
            )
            rows += len(part)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{where}: cannot be read as parquet; {' '.join(str(error).split())}") from None


SOURCES = (
    Source(
        name="csv",
        title="any text file of user, item and time, plain or .gz",
        licence="yours",
        read=read_csv,
    ),
    Source(
        name="parquet",
        title="any parquet file of user, item and time",
        licence="yours",
        read=read_parquet,
    ),
    Source(
        name="amazon",
        title="a file of Amazon ratings: user, item, rating, time",
        licence="that of your file",
        read=read_amazon,
    ),
)
