"""The file of samples as it is read: what was closed, and no further."""

from __future__ import annotations

import csv
from pathlib import Path

from linrec_bench.results.rows import COLUMNS, TRIAL


class StoreError(ValueError):
    """A results folder that is damaged, foreign or absent; nothing in it was changed."""


def whole_rows(path: Path) -> tuple[list[dict[str, str]], int]:
    """The rows up to the last closed trial, and the byte where they end; `StoreError` for damaged files."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    lines = data.splitlines(keepends=True)
    if not lines or lines[0].decode(errors="replace").rstrip("\n") != ",".join(COLUMNS):
        raise StoreError(f"{path}:1: not the columns of linrec-bench's samples; left untouched")
    rows: list[dict[str, str]] = []
    closed_rows, closed_end, end = 0, len(lines[0]), len(lines[0])
    for number, line in enumerate(lines[1:], start=2):
        end += len(line)
        values = next(csv.reader([line.decode(errors="replace").rstrip("\n")]), [])
        if len(values) != len(COLUMNS) or not line.endswith(b"\n"):
            if number == len(lines):
                break
            raise StoreError(
                f"{path}:{number}: damaged, {len(values)} columns; expected {len(COLUMNS)}; left untouched"
            )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        if rows[-1]["measure"] == TRIAL:
            closed_rows, closed_end = len(rows), end
    return rows[:closed_rows], closed_end
