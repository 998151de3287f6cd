"""Features of items: names such as genres in a file, and their numbers for models."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.text_files import Form, read_text

if TYPE_CHECKING:
    import pandas as pd


def read(file: Path | IO[bytes], *, where: str, form: Form) -> pd.Series:
    """The features of each item (names joined by |, empty for none), indexed by the text of its id.

    `form` has two columns, the id and the features. Raises `ValueError`, which begins with `where`, for an
    unknown column, a line that cannot be read, and an id that is missing or repeated.
    """
    import pandas as pd

    ids, names = _columns(file, where, form)
    return pd.Series(names, index=ids, dtype=object)


def read_flags(file: Path | IO[bytes], *, where: str, form: Form) -> pd.Series:
    """As `read`, from an id and a column of 0 or 1 for each feature, which is named by its number."""
    import pandas as pd

    ids, *flags = _columns(file, where, form)
    names = [
        "|".join(str(number) for number, flag in enumerate(row) if flag == "1")
        for row in zip(*flags, strict=True)
    ]
    return pd.Series(names, index=ids, dtype=object)


def numbered(features: pd.Series) -> Int64[np.ndarray, "I F"]:
    """One row per item: its features, numbered from 1 in the order of their names, padded with 0."""
    sets = [sorted({name.strip() for name in text.split("|")} - {""}) for text in features]
    number = {name: place for place, name in enumerate(sorted(set().union(*sets)), start=1)}
    rows = np.zeros((len(sets), max(1, *map(len, sets)) if sets else 1), dtype=np.int64)
    for row, names in zip(rows, sets, strict=True):
        row[: len(names)] = [number[name] for name in names]
    return rows


def _columns(file: Path | IO[bytes], where: str, form: Form) -> list[list[str]]:
    """The columns of all lines, "" where empty; the ids come first."""
    bad_rows = BadRows(where, "line")
    parts = list(read_text(file, form, bad_rows=bad_rows))
    columns = pa.concat_tables([part.columns for part in parts]).to_pydict().values() if parts else []
    texts = [[value or "" for value in column] for column in columns] or [[] for _ in form.columns]
    numbers = np.concatenate([part.numbers for part in parts]) if parts else np.empty(0, dtype=np.int64)
    ids = np.array(texts[0], dtype=object)
    repeated = np.ones(len(ids), dtype=bool)
    repeated[np.unique(ids, return_index=True)[1]] = False
    for fault, bad in (("no id", ids == ""), ("repeats an id", (ids != "") & repeated)):
        bad_rows.add(fault, numbers[np.flatnonzero(bad)], lambda _, fault=fault: fault)  # type: ignore[misc]
    if bad_rows.count:
        raise ValueError(f"{bad_rows.summary(advice='Expected one line an item')}")
    return texts
