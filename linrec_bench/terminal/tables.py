"""The one way in which a terminal shows a table: a bold title, no lines, the first column on the left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.table import Table
from rich.text import Text

from linrec_bench.terminal.streams import heading, out

_LONGEST_WORD = 20
"""Longer ones in a first column break where the terminal is narrow."""


def show_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    title: str = "",
    left: Collection[str] = (),
    fold: Collection[str] = (),
    gap: int = 2,
) -> None:
    """Columns stand on the right, but the first and those in `left`, `gap` characters apart, one where the
    terminal is narrow. There the first breaks into lines at words, those in `fold` anywhere; the others stay
    whole."""
    if title:
        heading(title)
    rows = list(rows)
    words = [word for row in rows for word in str(row[0]).split()]
    longest = min(max(map(len, words), default=0), _LONGEST_WORD)
    whole = [at for at, name in enumerate(head) if at and name not in fold]
    widths = [max([len(head[at]), *(len(row[at]) for row in rows if at < len(row))]) for at in whole]
    if longest + sum(widths) + gap * len(widths) > out.width:
        gap = 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for at, name in enumerate(head):
        table.add_column(
            name,
            min_width=longest if at == 0 else None,
            justify="left" if at == 0 or name in left else "right",
            no_wrap=at > 0 and name not in fold,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    out.print(table)
