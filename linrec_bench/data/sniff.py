"""What a log looks like: separator, header, columns and times, told from its first rows.

What is told is a proposal: a row that does not fit it is refused when the log is read.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from linrec_bench.data.archives import DAMAGES, ArchiveError
from linrec_bench.data.column_roles import role_columns
from linrec_bench.data.opening import opened_log
from linrec_bench.data.parquet_files import files_of
from linrec_bench.data.text_files import SEPARATORS, WHITESPACE, column_names, fields_of
from linrec_bench.data.times import guesses, likely
from linrec_bench.data_folders import existing

SAMPLE_BYTES = 2**18
SAMPLE_ROWS = 1000
SHOWN = 3

_CANDIDATES = ("\t", "::", ",", ";", "|")
_EPOCHS = [(1e8 * scale, 5e9 * scale) for scale in (1, 1e3, 1e6, 1e9)]
"""Numbers between these may be moments from 1973 to 2128, in s, ms, us or ns."""


@dataclass(frozen=True)
class Sniffed:
    """A source and parameters that read the log; `rows`: user, item and time of the first rows, as text."""

    source: str
    params: dict[str, object]
    rows: list[list[str]]


def sniff(path: str, given: Mapping[str, object]) -> Sniffed:
    """The source of the file or folder `path` and its parameters, which `given` overrides.

    Raises `ValueError` for a file that is no table, and for times that can be read in two ways.
    """
    place = existing(path, folder=True)
    with (files_of(place)[0] if place.is_dir() else place).open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    return _sniff_parquet(path, place, given) if is_parquet else _sniff_text(path, place, given)


def _sniff_parquet(path: str, place: Path, given: Mapping[str, object]) -> Sniffed:
    names, columns = list[str](), list[pa.Array]()
    try:
        with parquet.ParquetFile(files_of(place)[0]) as file:
            batch = next(file.iter_batches(SAMPLE_ROWS), pa.RecordBatch.from_pylist([]))
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not pa.types.is_nested(column.type):
                names.append(name)
                columns.append(column if pa.types.is_temporal(column.type) else column.cast(pa.string()))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read as parquet; {' '.join(str(error).split())}") from None
    return _proposal("parquet", {"path": path}, names, columns, given)


def _sniff_text(path: str, place: Path, given: Mapping[str, object]) -> Sniffed:
    lines = _lines(path, place)
    separator = str(given.get("separator") or _separator(path, lines))
    separator = SEPARATORS.get(separator, separator)
    quotes = str(given.get("quotes") or _quotes(lines, separator))
    try:
        rows = _rows(lines, separator, quotes)
    except csv.Error as error:
        raise ValueError(f"{path}: cannot be read as a table; {error}") from None
    width = Counter(map(len, rows)).most_common(1)[0][0]
    names = column_names(lines[0], separator)
    whole = [row for row in rows if len(row) == width]
    columns = [pa.array([row[at] or None for row in whole], pa.string()) for at in range(width)]
    below = [column[1:] for column in columns]
    header = given.get("header")
    if header is None:
        header = len(names) == width and _is_header(names, below)
    params: dict[str, object] = {"path": path}
    if separator != ",":
        words = {character: word for word, character in SEPARATORS.items()}
        params["separator"] = words.get(separator, separator)
    if quotes != "line":
        params["quotes"] = quotes
    if not header:
        return _proposal("csv", params, [], columns, given)
    if len(set(names)) < len(names):
        return _proposal("csv", params | {"header": True}, [], below, given)
    return _proposal("csv", params, names, below, given)


def _proposal(
    source: str,
    params: Mapping[str, object],
    names: Sequence[str],
    columns: Sequence[pa.Array],
    given: Mapping[str, object],
) -> Sniffed:
    """The parameters with the columns of user, item and time, by name where there are names."""
    path = params["path"]
    if not columns or not len(columns[0]):
        raise ValueError(f"{path}: has no rows")
    places = _places(names, columns, given)
    if not {"user", "item"} <= set(places):
        lacking = "user" if "user" not in places else "item"
        raise ValueError(f"{path}: no column is that of the {lacking}; set user, item and time")
    chosen: dict[str, object] = {role: names[at] if names else at + 1 for role, at in places.items()}
    if "time" not in places:
        chosen["time"] = "none"
    elif not pa.types.is_temporal(columns[places["time"]].type):
        chosen |= _times(str(path), columns[places["time"]], given)
    rows = [
        ["" if (value := columns[at][row].as_py()) is None else str(value) for at in places.values()]
        for row in range(min(SHOWN, len(columns[0])))
    ]
    return Sniffed(source, {**params, **chosen, **given}, rows)


def _lines(path: str, place: Path) -> list[str]:
    """The first lines, without a last one that is cut."""
    try:
        with opened_log(place) as stream:
            start = stream.read(SAMPLE_BYTES)
    except (ArchiveError, *DAMAGES) as error:
        raise ValueError(f"{path}: cannot be read; {' '.join(str(error).split())}") from None
    if b"\0" in start:
        raise ValueError(f"{path}: is no text file; expected a table of events")
    if len(start) == SAMPLE_BYTES:
        start = start[: start.rfind(b"\n") + 1]
    lines = start.decode("utf-8-sig", "replace").replace("\r\n", "\n").rstrip().split("\n")[:SAMPLE_ROWS]
    if not lines[0].strip():
        raise ValueError(f"{path}: " + ("is empty" if len(lines) == 1 else "line 1 is empty"))
    if lines[0].lstrip().startswith(("{", "[")):
        raise ValueError(f"{path}: looks like JSON; expected a table: convert it to csv or parquet")
    return lines


def _separator(path: str, lines: Sequence[str]) -> str:
    """The separator that cuts nearly all lines into the same number of fields, the most of them."""
    found = _widths(lines) or _widths(_records(lines))
    if not found:
        raise ValueError(
            f"{path}: no separator cuts its lines into the same number of fields "
            f"(line 1 is {lines[0][:80]!r}); set separator"
        )
    return max(found, key=lambda separator: found[separator])


def _widths(lines: Sequence[str]) -> dict[str, int]:
    """Separator -> fields a line, of those that cut nearly all lines alike."""
    found = dict[str, int]()
    for separator in (*_CANDIDATES, WHITESPACE):
        counted = Counter(len(fields_of(line, separator)) for line in lines).most_common(1)
        if counted and counted[0][0] > 1 and counted[0][1] >= 0.9 * len(lines):
            if separator == WHITESPACE and found:
                break
            found[separator] = counted[0][0]
    return found


def _records(lines: Sequence[str]) -> list[str]:
    """Lines joined as long as a quote is open."""
    records, left = list[str](), ""
    for line in lines:
        left = f"{left}\n{line}" if left else line
        if left.count('"') % 2 == 0:
            records.append(left)
            left = ""
    return records


def _quotes(lines: Sequence[str], separator: str) -> str:
    """How quotes are used: `lines` only if all of the sample is well-formed with line breaks in fields."""
    if len(separator) > 1 or not any('"' in line for line in lines):
        return "line"
    for quotes in ("line", "lines"):
        try:
            rows = _rows(lines, separator, quotes)
        except csv.Error:
            continue
        # The last row of a sample may be cut.
        if len(rows) > 1 and len({len(row) for row in rows[:-1]}) == 1:
            return quotes
    return "line"


def _rows(lines: Sequence[str], separator: str, quotes: str) -> list[list[str]]:
    if quotes == "none" or separator == WHITESPACE or len(separator) > 1:
        return [line.split() if separator == WHITESPACE else line.split(separator) for line in lines]
    if quotes == "line":
        return [row for line in lines for row in csv.reader([line], delimiter=separator)]
    rows, reader = (
        list[list[str]](),
        csv.reader((f"{line}\n" for line in lines), delimiter=separator, strict=True),
    )
    try:
        rows.extend(reader)
    except csv.Error:
        if reader.line_num < len(lines):
            raise
    return rows


def _is_header(names: Sequence[str], columns: Sequence[pa.Array]) -> bool:
    """Whether line 1 names columns: by names in use, or as text above numbers or times."""
    if len(role_columns(names)) > 1:
        return True
    first = [pa.array([name], pa.string()) for name in names]
    return any(
        len(column) and not guesses(name) and guesses(column.drop_null())
        for name, column in zip(first, columns, strict=True)
        if column.null_count < len(column)
    )


def _places(names: Sequence[str], columns: Sequence[pa.Array], given: Mapping[str, object]) -> dict[str, int]:
    """The place of user, item and time: as given, by their names, else by what stands in the columns."""
    places = role_columns(names)
    for role in ("user", "item", "time"):
        value = given.get(role)
        if value in names:
            places[role] = list(names).index(str(value))
        elif isinstance(value, int) and 1 <= value <= len(columns):
            places[role] = value - 1
    if given.get("time", "") in ("none", None):
        places.pop("time", None)
    elif "time" not in places:
        free = [at for at in range(len(columns)) if at not in places.values()]
        moments = [at for at in free if _are_moments(columns[at])]
        places |= {"time": moments[-1]} if moments else {}
    ids = [at for at in range(len(columns)) if at not in places.values() and not _are_decimals(columns[at])]
    lacking = [role for role in ("user", "item") if role not in places]
    places |= dict(zip(lacking, ids, strict=False))
    return {role: places[role] for role in ("user", "item", "time") if role in places}


def _are_moments(column: pa.Array) -> bool:
    """Whether these are dates, or numbers in the range of times of the last decades."""
    if pa.types.is_temporal(column.type):
        return True
    values = column.drop_null()
    found = guesses(values) if len(values) else []
    if not found:
        return len(values) > 0 and likely(values) is not None
    if found[0]["times"] not in ("integer", "seconds"):
        return True
    numbers = [float(value) for value in values.to_pylist()]
    return any(low <= min(numbers) and max(numbers) <= high for low, high in _EPOCHS)


def _are_decimals(column: pa.Array) -> bool:
    values = [] if pa.types.is_temporal(column.type) else column.drop_null().to_pylist()
    return pa.types.is_temporal(column.type) or any(
        "." in value and value.replace(".", "", 1).lstrip("-").isdigit() for value in islice(values, 100)
    )


def _times(path: str, column: pa.Array, given: Mapping[str, object]) -> dict[str, str]:
    """The settings `times` and `unit`; none where they are given, or where no setting reads the sample."""
    if "times" in given:
        return {}
    found = guesses(column.drop_null())
    if len(found) > 1:
        choices = " or ".join(f"times: '{guess['times']}'" for guess in found)
        example = column.drop_null()[0].as_py()
        raise ValueError(f"{path}: times such as {example!r} can be read in several ways; set {choices}")
    if not found and (form := likely(column.drop_null())):
        return {"times": form}
    chosen = found[0] if found else {}
    return {key: value for key, value in chosen.items() if value != "integer"}
