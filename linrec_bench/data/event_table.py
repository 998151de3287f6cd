"""`csv`, `parquet` and `amazon`: a file of events with a column each for the user, the item and the time.

Ids are text or whole numbers; in a text file they are text, so that 007 and 7 differ. Only these columns are
read, a block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa

from linrec_bench.data import item_features
from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.columns import EVENT_COLUMNS, checked
from linrec_bench.data.events import Events, OnBadRows, identity_of, with_features
from linrec_bench.data.parquet_files import files_of, parquet_parts
from linrec_bench.data.source import Source
from linrec_bench.data.text_files import SEPARATORS, WHITESPACE, Form, Quotes, read_text
from linrec_bench.data.times import Unit, check_times
from linrec_bench.data_folders import existing

NO_TIME = "none"


def read_csv(
    *,
    path: str,
    user: str | int = "user_id",
    item: str | int = "item_id",
    time: str | int | None = "timestamp",
    times: str = "integer",
    unit: Unit = "s",
    separator: str = ",",
    header: bool | None = None,
    quotes: Quotes = "line",
    min_interactions: int = 5,
    on_bad_rows: OnBadRows = "refuse",
    features: str | None = None,
    feature: str | int = "features",
) -> Events:
    """The histories of a text file, plain or compressed by gzip, bzip2, xz or zip.

    Columns are named, or given by position from 1: then line 1 is an event, unless `header: true`. `time:
    none`: the lines are in the order of time. A relative path is also searched in the folder
    LINREC_BENCH_DATA.

    `times`: `integer` keeps whole numbers of any unit; `seconds` (with a fraction), `iso` (a date, or with a
    time after T or a blank, and an offset; UTC where it has none) or a format such as `%d/%m/%Y %H:%M` are
    counted in `unit` (s, ms, us or ns), and a time that is finer is refused, not rounded.

    `separator`: one or several characters, or a word: tab, space, comma, semicolon, pipe, or whitespace for
    any run of blanks and tabs. `quotes`: fields in double quotes end on their `line`, may hold `lines`, or
    `none`: a quote is an ordinary character.

    `features` is a file of the same form with one line per item: the column `item`, and the column `feature`
    with its features separated by |.

    Raises `ValueError` with the file and line of the first rows that cannot be read. `on_bad_rows: drop`
    skips and counts them.
    """
    check_times("csv", times)
    columns = [_column("user", user), _column("item", item)]
    if time is not None and time != NO_TIME:
        columns.append(_column("time", time))
    form = partial(Form, separator=_separator(separator), header=header, quotes=quotes)
    _check_kinds(columns, header)
    file = existing(path)
    events = text_events(
        file,
        form(columns=tuple(columns)),
        where=path,
        times=times,
        unit=unit,
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
    )
    if features is None:
        return events
    table = existing(features)
    of_items = form(columns=(_column("item", item), _column("feature", feature)))
    return with_features(events, table, partial(item_features.read, table, where=features, form=of_items))


def read_amazon(
    *,
    path: str,
    first: Literal["user", "item"] = "user",
    min_interactions: int = 5,
    on_bad_rows: OnBadRows = "refuse",
) -> Events:
    """The histories of a file of Amazon ratings, plain or compressed, without a header line.

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
    time: str | None = "timestamp",
    times: str = "integer",
    unit: Unit = "s",
    min_interactions: int = 5,
    on_bad_rows: OnBadRows = "refuse",
) -> Events:
    """The histories of a parquet file, or of a folder of such files in the order of their names.

    Timestamps keep their unit, dates are in seconds; `times` and `unit` are for other types, as in csv, and
    so are `time: none` and `on_bad_rows`. Rows are counted from 1. Raises `ValueError` with the file and row
    of missing or damaged values.
    """
    check_times("parquet", times)
    columns = [user, item] if time in (None, NO_TIME) else [user, item, str(time)]
    files = files_of(existing(path, folder=True))
    return Events(
        parts=partial(parquet_parts, files, path, columns, times, unit),
        identity=tuple(map(identity_of, files)),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
        has_times=len(columns) > 2,
    )


def text_events(
    file: Path,
    form: Form,
    *,
    where: str,
    times: str = "integer",
    unit: Unit = "s",
    min_interactions: int,
    on_bad_rows: OnBadRows,
) -> Events:
    """The log in one text file, in time order if it has no third column; `where` is its name in messages."""

    def parts(bad_rows: list[BadRows]) -> Iterator[pa.Table]:
        bad_rows.append(BadRows(where, "line"))
        yield from read_events(file, form, bad_rows[-1], times=times, unit=unit)

    return Events(
        parts=parts,
        identity=(identity_of(file),),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
        has_times=len(form.columns) > 2,
    )


def read_events(
    file: Path | IO[bytes], form: Form, bad_rows: BadRows, *, times: str = "integer", unit: Unit = "s"
) -> Iterator[pa.Table]:
    """The events of one text file, part by part; rows that are none are added to `bad_rows`."""
    names = list(map(str, form.columns)) if form.named else EVENT_COLUMNS[: len(form.columns)]
    for rows in read_text(file, form, bad_rows=bad_rows):
        yield checked(
            rows.columns, names=names, numbers=rows.numbers, bad_rows=bad_rows, times=times, unit=unit
        )


def _column(role: str, given: str | int) -> str | int:
    """A name, or a position from 0."""
    if isinstance(given, int) and given < 1:
        raise ValueError(f"data csv: {role} is {given}; expected a name, or a position from 1")
    return given - 1 if isinstance(given, int) else given


def _check_kinds(columns: list[str | int], header: bool | None) -> None:
    kinds = {type(column) for column in columns}
    if len(kinds) > 1:
        raise ValueError("data csv: user, item and time are names and positions; expected all of one kind")
    if kinds == {str} and header is False:
        raise ValueError("data csv: columns have names although header is false; set their positions from 1")


def _separator(given: str) -> str:
    separator = SEPARATORS.get(given, given)
    is_word = separator.isalnum() and separator != WHITESPACE
    if not separator or "\n" in separator or '"' in separator or is_word:
        raise ValueError(
            f"data csv: separator is {given!r}; expected characters such as ',' or '::', or one of: "
            f"{', '.join(SEPARATORS)}, {WHITESPACE}"
        )
    return separator


SOURCES = (
    Source(
        name="csv",
        title="any text file of user, item and time, plain or compressed",
        licence="yours",
        read=read_csv,
    ),
    Source(
        name="parquet",
        title="any parquet file, or folder of them, of user, item and time",
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
