"""Columns of a log, part by part: ids as text or integers, times as exact whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.times import EXACT_FLOATS, Unit, expected, guesses, whole_times
from linrec_bench.registry import did_you_mean

_SAMPLE = 100
"""Bad times from which a setting that reads them is guessed."""

EVENT_COLUMNS = ("user", "item", "time")


def check_columns(columns: Sequence[str], available: Sequence[str], where: str) -> None:
    """Raise `ValueError` unless `columns` are different ones that `available` has, and each only once."""
    for column in columns:
        if column not in available:
            raise ValueError(
                f"{where}: no column {column!r}; it has: {', '.join(available)}."
                f"{did_you_mean(column, available)} Set user, item and time to names of columns, or, "
                "where line 1 is no header, to positions from 1"
            )
        if available.count(column) > 1:
            raise ValueError(f"{where}: two columns are named {column!r}; rename one, or set their positions")
    if len(set(columns)) < len(columns):
        raise ValueError(f"{where}: the columns {', '.join(columns)} repeat; expected each once")


def checked(
    part: pa.Table,
    *,
    names: Sequence[str],
    numbers: np.ndarray,
    bad_rows: BadRows,
    times: str = "integer",
    unit: Unit = "s",
) -> pa.Table:
    """The complete rows of `part` (user, item and, unless there is none, time) with times as int64.

    `names`: the columns' names in the file. `numbers`: the number of each row in the file. Rows without a
    value, with an id that is no whole number though a float, or whose time is not exact, are added to
    `bad_rows`. Without a time column all times are 0.
    """
    bad_rows.rows += len(part)
    good = np.ones(len(part), dtype=bool)
    columns = [_plain(column.combine_chunks()) for column in part.columns]

    def leave_out(column: pa.Array, fits: np.ndarray, kind: str, reason: str, hint: bool = False) -> None:
        bad = np.flatnonzero(good & ~fits)
        values = column.take(pa.array(bad[:_SAMPLE]))
        bad_rows.add(
            kind,
            numbers[bad],
            lambda row: reason.format(repr(values[row].as_py())),
            hint=_hint(values, times, unit) if hint else "",
        )
        good[bad] = False

    for name, column in zip(names, columns, strict=True):
        there = pc.is_valid(column).to_numpy(zero_copy_only=False)
        leave_out(column, there, f"no {name}", f"no {_literal(name)}")
    ids = list[pa.Array]()
    for name, column in zip(names[:2], columns, strict=False):
        values, exact = _ids(column, name, bad_rows.where)
        ids.append(values)
        leave_out(column, exact, name, f"{_literal(name)} is {{}}, not a whole number or text")
    moments = np.zeros(len(part), dtype=np.int64)
    if len(names) > 2:
        moments, exact = whole_times(columns[2], times, unit)
        reason = f"{_literal(names[2])} is {{}}, not {_literal(expected(times, unit))}"
        leave_out(columns[2], exact, "time", reason, hint=True)
    whole = pa.table([*ids, pa.array(moments)], names=list(EVENT_COLUMNS))
    return whole if good.all() else whole.filter(pa.array(good))


def _hint(values: pa.Array, times: str, unit: Unit) -> str:
    """The settings that read these times; empty if none does."""
    if not len(values):
        return ""
    kind = values.type
    if pa.types.is_floating(kind) and EXACT_FLOATS[kind] < 2**31:
        return f"{kind} keeps whole numbers up to {EXACT_FLOATS[kind]:,} only; store times as int64"
    fits = [guess for guess in guesses(values) if guess != {"times": times, "unit": unit}]
    written = (", ".join(f"{key}: {_quoted(value)}" for key, value in guess.items()) for guess in fits)
    return f"Set {' or '.join(written)}" if fits else ""


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _quoted(value: str) -> str:
    return f"'{value}'" if "%" in value else value


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _ids(column: pa.Array, name: str, where: str) -> tuple[pa.Array, np.ndarray]:
    """Whole numbers as int64, all else as text, where a different spelling is a different id; and a mask of
    what is an id: floats are where they are exact whole numbers."""
    kind = column.type
    fits = np.ones(len(column), dtype=bool)
    if pa.types.is_floating(kind):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64)
        fits = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) <= EXACT_FLOATS[kind])
        return pa.array(np.where(fits, values, 0).astype(np.int64)), fits
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64()), fits
    if pa.types.is_nested(kind) or pa.types.is_boolean(kind):
        raise ValueError(f"{where}: {name} is of type {kind}; expected ids: text or whole numbers")
    return column.cast(pa.large_string()), fits
