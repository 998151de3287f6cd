"""Features of items: names such as genres in a file, and their numbers for models."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from jaxtyping import Int64

from linrec_bench.registry import did_you_mean


def read_csv(
    file: Path | IO[bytes], *, where: str, item: str, column: str, separator: str = ","
) -> pd.Series:
    """The features of each item (names joined by |, empty for none), indexed by the text of its id.

    The file is text with a header line; a file that ends in .gz is decompressed. Raises `ValueError`, which
    begins with `where`, for an unknown column, a damaged file, and an id that is missing or repeated.
    """
    frame = _read(file, where, separator=separator, header=0, encoding="utf-8")
    for name in (item, column):
        if name not in frame.columns:
            known = list(map(str, frame.columns))
            raise ValueError(
                f"{where}: no column {name!r}; it has: {', '.join(known)}.{did_you_mean(name, known)} "
                "Expected one of the item's id and one of its features"
            )
    return _checked(frame[item], frame[column], where, first=2)


def read_dat(file: Path | IO[bytes], *, where: str, columns: tuple[int, int]) -> pd.Series:
    """As `read_csv`, from Latin-1 lines with the separator `::` and no header; `columns`: id and names."""
    frame = _read(file, where, separator="::", header=None, encoding="latin-1")
    _check_width(frame, max(columns) + 1, where)
    return _checked(frame[columns[0]], frame[columns[1]], where, first=1)


def read_flags(file: Path | IO[bytes], *, where: str, first_flag: int) -> pd.Series:
    """As `read_csv`, from Latin-1 lines with separator |: id, and 0 or 1 from field `first_flag` on.

    A feature is named by its number among the flags.
    """
    frame = _read(file, where, separator="|", header=None, encoding="latin-1")
    _check_width(frame, first_flag + 1, where)
    flags = frame.iloc[:, first_flag:].to_numpy() == "1"
    names = ["|".join(map(str, np.flatnonzero(row))) for row in flags]
    return _checked(frame[0], pd.Series(names), where, first=1)


def numbered(features: pd.Series) -> Int64[np.ndarray, "I F"]:
    """One row per item: its features, numbered from 1 in the order of their names, padded with 0."""
    sets = [sorted({name.strip() for name in text.split("|")} - {""}) for text in features]
    number = {name: place for place, name in enumerate(sorted(set().union(*sets)), start=1)}
    rows = np.zeros((len(sets), max(1, *map(len, sets)) if sets else 1), dtype=np.int64)
    for row, names in zip(rows, sets, strict=True):
        row[: len(names)] = [number[name] for name in names]
    return rows


def _read(
    file: Path | IO[bytes], where: str, *, separator: str, header: int | None, encoding: str
) -> pd.DataFrame:
    try:
        return pd.read_csv(
            file,
            sep=separator,
            header=header,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding=encoding,
            # A separator of two characters is a pattern, which the faster engine does not know.
            engine="python" if len(separator) > 1 else "c",
        )
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{where}: cannot be read as a table; {' '.join(str(error).split())}") from None


def _check_width(frame: pd.DataFrame, least: int, where: str) -> None:
    if frame.shape[1] < least:
        raise ValueError(f"{where}: {frame.shape[1]} fields a line; expected at least {least}")


def _checked(ids: pd.Series, names: pd.Series, where: str, *, first: int) -> pd.Series:
    for bad, reason in ((ids == "", "has no id"), (ids.duplicated(), "repeats an id")):
        rows: Sequence[int] = np.flatnonzero(bad).tolist()
        if rows:
            raise ValueError(
                f"{where}: line {first + rows[0]} {reason}; expected one line an item "
                f"({len(rows)} such lines)"
            )
    return pd.Series(names.fillna("").to_numpy(), index=ids.to_numpy(), dtype=object)
