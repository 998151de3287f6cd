"""A table as plain data: what it says, how it sorts. The template and the Markdown print it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from linrec_bench.presentation.numbers import MISSING

Tone = Literal["", "good", "bad", "open", "quiet"]
"""How a cell is coloured; its words say the same."""


@dataclass(frozen=True)
class Cell:
    """A cell: its text, small print beside it, and the number or text by which it sorts.

    A NaN in `sort` stands last in either order. `key` names a mechanism whose mark stands before the text.
    """

    text: str
    small: str = ""
    sort: float | str = math.nan
    tone: Tone = ""
    key: str = ""

    @property
    def sort_text(self) -> str:
        """What the page sorts by; empty where there is nothing to sort by."""
        if isinstance(self.sort, str):
            return self.sort
        return f"{self.sort:.9g}" if math.isfinite(self.sort) else ""


Row = Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """A column of records: its name, what it means, and the cell of one record. `words` break into lines."""

    name: str
    cell: Callable[[Row], Cell]
    numeric: bool = True
    meaning: str = ""
    words: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first column heads its rows."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    id: str = ""
    note: str = ""


def build(
    caption: str, columns: Sequence[Column], records: Sequence[Row], *, id: str = "", note: str = ""
) -> Table:
    """The table of some records. A column that is empty in all of them is left out, never the first."""
    cells = [[column.cell(record) for record in records] for column in columns]
    kept = [at for at, column in enumerate(cells) if at == 0 or any(_says(cell) for cell in column)]
    rows = tuple(tuple(cells[at][row] for at in kept) for row in range(len(records)))
    return Table(caption, tuple(columns[at] for at in kept), rows, id=id, note=note)


def _says(cell: Cell) -> bool:
    return bool(cell.small) or cell.text not in ("", MISSING)
