"""`csv` and `parquet`: a file of events with a column each for the user, the item and the time.

Ids may be text or numbers; in a csv they are text, so that 007 and 7 are two. Times are whole numbers of any
unit (1700000000 and 1700000000.0 are one), or in parquet timestamps, which count in their own unit. Fractions
are refused and not rounded, for rounding would change the order of events: scale them to a smaller unit.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Integer

from linrec_bench.data import features as item_features
from linrec_bench.data.sequences import Sequences, from_interactions
from linrec_bench.data.source import FOLDER_VARIABLE, Source
from linrec_bench.registry import did_you_mean

_LISTED = 10
"""So many bad rows are told one by one; the others are counted."""

_EXACT_FLOAT = 2**53
"""Up to here every whole number has a float64 of its own."""


def load_csv(
    *,
    path: str,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    separator: str = ",",
    min_interactions: int = 5,
    features: str | None = None,
    feature: str = "features",
) -> Sequences:
    """The histories of a text file with a header line; one that ends in .gz is read as it is.

    `features` is a file of the same form with a line an item: the column `item`, and the column `feature`
    that holds its features with | between them.

    Raises `ValueError` naming the file and the line of what is missing or damaged.
    """
    file = _existing(path)
    if len(separator) != 1:
        raise ValueError(f"data csv: separator is {separator!r}; expected one character")
    frame = read_text(file, where=path, separator=separator, columns=[user, item, time])
    found = None
    if features is not None:
        found = item_features.read_csv(
            _existing(features), where=features, item=item, column=feature, separator=separator
        )
    return to_sequences(
        frame, where=path, unit="line", first=2, min_interactions=min_interactions, features=found
    )


def load_parquet(
    *,
    path: str,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    min_interactions: int = 5,
) -> Sequences:
    """The histories of a parquet file; rows are counted from 1. Needs the extra `parquet`.

    Raises `ValueError` naming the file and the row of what is missing or damaged, or when pyarrow is absent.
    """
    file = _existing(path)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            "data parquet needs pyarrow, which is not installed; run: pip install 'linrec-bench[parquet]'"
        ) from None
    columns = [user, item, time]
    try:
        _check_columns(columns, parquet.read_schema(file).names, path)
        frame = parquet.read_table(file, columns=columns).to_pandas()[columns]
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read as parquet; {_one_line(error)}") from None
    return to_sequences(frame, where=path, unit="row", first=1, min_interactions=min_interactions)


def read_text(
    file: Path | IO[bytes], *, where: str, separator: str, columns: list[str] | list[int]
) -> pd.DataFrame:
    """User, item and time of a text file: columns by name below a header line, or by number without one.

    Raises `ValueError` that starts with `where` when a column is not there or the file is damaged, which
    includes lines that are longer than the first.
    """
    named = isinstance(columns[0], str)
    try:
        # All columns are read: told to read some, pandas would drop what a line has beyond its columns.
        frame = pd.read_csv(
            file,
            sep=separator,
            header=0 if named else None,
            dtype=dict.fromkeys(columns[:2], str),
            # Only an empty field is missing: NA, null and nan are ids like others.
            keep_default_na=False,
            na_values=[""],
            # A skipped line would shift the numbers of those below it.
            skip_blank_lines=False,
            # One type a column, whatever its length.
            low_memory=False,
        )
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{where}: cannot be read as a table; {_one_line(error)}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the surplus of the first line for an index, and shifts the columns.
        raise ValueError(f"{where}: line 2: more fields than the header")
    _check_columns(columns, list(frame.columns), where)
    return frame[columns]


def to_sequences(
    frame: pd.DataFrame,
    *,
    where: str,
    unit: str,
    first: int,
    min_interactions: int,
    features: pd.Series | None = None,
) -> Sequences:
    """The histories of a frame whose three columns are user, item and time.

    `features` are those of the items by the text of their ids, which are text in the frame too.

    Raises `ValueError` that names the rows (as `unit` number, the topmost being `first`) that lack a value or
    have no whole number for a time: the first ten, then how many more.
    """
    user, item, time = (frame.iloc[:, column] for column in range(3))
    times, whole = _whole_numbers(time)

    def fault(row: int) -> str:
        for column in (user, item, time):
            if pd.isna(column.iloc[row]):
                return f"no {column.name}"
        return f"{time.name} is {str(time.iloc[row])!r}, not a whole number"

    bad = (user.isna() | item.isna()).to_numpy() | ~whole
    rows = np.flatnonzero(bad).tolist()
    if rows:
        told = "; ".join(f"{unit} {first + row}: {fault(row)}" for row in rows[:_LISTED])
        more = f"; and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
        raise ValueError(f"{where}: {told}{more}. Mend or remove such rows")
    if features is None:
        return from_interactions(_codes(user), _codes(item), times, min_interactions=min_interactions)
    # Numbered together, so that the same id has the same number in both.
    ids = _codes(pd.concat([item, pd.Series(features.index)], ignore_index=True))
    return from_interactions(
        _codes(user),
        ids[: len(item)],
        times,
        min_interactions=min_interactions,
        featured=ids[len(item) :],
        features=item_features.numbered(features),
    )


def _existing(path: str) -> Path:
    """The file of that path; a relative one may lie in the folder of LINREC_BENCH_DATA as well."""
    named = Path(path).expanduser()
    folder = os.environ.get(FOLDER_VARIABLE)
    for file in (named, Path(folder).expanduser() / named) if folder else (named,):
        if file.is_file():
            return file
    also = f", nor in {folder}" if folder and not named.is_absolute() else ""
    raise ValueError(f"{path}: no such file{also}; expected the path of a table")


def _check_columns(wanted: Sequence[str | int], there: Sequence[str | int], path: str) -> None:
    """Raise `ValueError` unless the three columns are three, and there."""
    for column in wanted:
        if column not in there:
            names = [str(name) for name in there]
            hint = did_you_mean(str(column), names)
            raise ValueError(
                f"{path}: no column {column!r}; it has: {', '.join(names)}.{hint} "
                "The parameters user, item and time say which columns to read"
            )
    if len(set(wanted)) < len(wanted):
        raise ValueError(
            f"{path}: user, item and time are {', '.join(map(str, wanted))}; expected three columns"
        )


def _whole_numbers(column: pd.Series) -> tuple[Int64[np.ndarray, " E"], Bool[np.ndarray, " E"]]:
    """The column as int64, and where that is exact; the value elsewhere is 0."""
    if column.dtype.kind == "M":
        return column.astype("int64").to_numpy(), column.notna().to_numpy()
    if column.dtype.kind == "i":
        return column.to_numpy(np.int64), np.ones(len(column), dtype=bool)
    # Anything but a number is judged by its text: True is no time.
    numbers = column if column.dtype.kind in "uf" else pd.to_numeric(column.astype(str), errors="coerce")
    values = numbers.to_numpy(np.float64)
    whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) <= _EXACT_FLOAT)
    return np.where(whole, values, 0).astype(np.int64), whole


def _codes(ids: pd.Series) -> Integer[np.ndarray, " E"]:
    """Numbers in the order of the ids: whole numbers by value, text by length and then by letter."""
    if ids.dtype.kind in "iu":
        return ids.to_numpy()
    codes, names = pd.factorize(ids.astype(str))
    order = sorted(range(len(names)), key=lambda code: (len(names[code]), names[code]))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return place[codes]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


SOURCES = (
    Source(
        name="csv",
        title="any text file of user, item and time, plain or .gz",
        licence="yours",
        load=load_csv,
    ),
    Source(
        name="parquet",
        title="any parquet file of user, item and time (extra: parquet)",
        licence="yours",
        load=load_parquet,
    ),
)
