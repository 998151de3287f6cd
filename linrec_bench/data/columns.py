"""Columns of a log, part by part: ids as text or integers, times as exact whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linrec_bench.data.bad_rows import LISTED, BadRows
from linrec_bench.registry import did_you_mean

Times = Literal["integer", "iso"]
"""How times are written: whole numbers of any unit, or as in 2010-10-19T23:55:27Z, which become seconds."""

EVENT_COLUMNS = ("user", "item", "time")

_EXACT_FLOAT = 2**53
"""The largest whole number up to which float64 is exact."""

_ISO = "%Y-%m-%dT%H:%M:%SZ"


def check_columns(columns: Sequence[str | int], available: Sequence[str | int], where: str) -> None:
    """Raise `ValueError` unless `columns` are three different ones among `available`."""
    for column in columns:
        if column not in available:
            names = [str(name) for name in available]
            hint = did_you_mean(str(column), names)
            raise ValueError(
                f"{where}: no column {column!r}; it has: {', '.join(names)}.{hint} "
                "Set the parameters user, item and time to the names of the columns"
            )
    if len(set(columns)) < len(columns):
        raise ValueError(
            f"{where}: user, item and time are {', '.join(map(str, columns))}; expected three columns"
        )


def checked(
    part: pa.Table, *, names: Sequence[str], number: Callable[[int], int], bad_rows: BadRows, times: Times
) -> pa.Table:
    """The complete rows of `part` (user, item, time, in this order), with times as int64.

    `names`: the columns' names in the file. `number` maps the index of a row in the part to its number in the
    file. Rows without a value, or whose time is not a whole number, are added to `bad_rows`.
    """
    user, item, time = (part.column(column).combine_chunks() for column in range(3))
    moments, good = _whole_numbers(time, times)
    complete = pc.and_(pc.is_valid(user), pc.is_valid(item)).to_numpy(zero_copy_only=False)
    good &= complete
    bad = np.flatnonzero(~good)
    bad_rows.count += len(bad[LISTED:])
    for row in bad[:LISTED].tolist():
        values = [column[row].as_py() for column in (user, item, time)]
        lacking = [name for name, value in zip(names, values, strict=True) if value is None]
        expected = "a whole number" if times == "integer" else "a time such as 2010-10-19T23:55:27Z"
        fault = f"no {lacking[0]}" if lacking else f"{names[2]} is {str(values[2])!r}, not {expected}"
        bad_rows.add(number(row), fault)
    whole = pa.table([_ids(user), _ids(item), pa.array(moments)], names=list(EVENT_COLUMNS))
    return whole if good.all() else whole.filter(pa.array(good))


def _ids(column: pa.Array) -> pa.Array:
    """Whole numbers as int64, all else as text, where a different spelling is a different id."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        return column.cast(pa.int64())
    return column.cast(pa.large_string())


def _whole_numbers(column: pa.Array, times: Times) -> tuple[np.ndarray, np.ndarray]:
    """The column as int64 (0 where not exact), and a mask of exact values."""
    if times == "iso":
        parsed = pc.strptime(column.cast(pa.string()), format=_ISO, unit="s", error_is_null=True)
        return _filled(parsed.cast(pa.int64()))
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _filled(column.cast(pa.int64()))
    if pa.types.is_integer(kind):
        # An unsigned number beyond int64 is no time that can be kept.
        fits = pc.less_equal(column, 2**63 - 1) if kind == pa.uint64() else pc.is_valid(column)
        return _filled(pc.if_else(fits, column, None).cast(pa.int64()))
    if pa.types.is_floating(kind):
        return _whole_floats(column.to_numpy(zero_copy_only=False).astype(np.float64))
    return _whole_texts(column)


def _whole_texts(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Casts whole numbers, also with a fraction of zeros, at once; parses other texts one by one."""
    texts = pc.replace_substring_regex(column.cast(pa.large_string()), r"^(-?[0-9]+)\.0*$", r"\1")
    plain = pc.fill_null(pc.match_substring_regex(texts, r"^-?[0-9]{1,18}$"), False)
    values, good = _filled(pc.if_else(plain, texts, None).cast(pa.int64()))
    others = pc.invert(plain)
    if pc.any(others).as_py():
        rows = np.flatnonzero(others.to_numpy(zero_copy_only=False))
        for row, text in zip(rows.tolist(), texts.filter(others).to_pylist(), strict=True):
            exact = _exact(text)
            if exact is not None:
                values[row], good[row] = exact, True
    return values, good


def _exact(text: str | None) -> int | None:
    """The exact whole number of a text such as +7 or 1e3; None if there is none."""
    if text is None or "_" in text:
        return None
    try:
        value = int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
    except ValueError:
        return None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return int(value) if value.is_integer() and abs(value) <= _EXACT_FLOAT else None


def _whole_floats(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) <= _EXACT_FLOAT)
    return np.where(whole, values, 0).astype(np.int64), whole


def _filled(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    good = pc.is_valid(column).to_numpy(zero_copy_only=False)
    return pc.fill_null(column, 0).to_numpy(zero_copy_only=False).copy(), good.copy()
