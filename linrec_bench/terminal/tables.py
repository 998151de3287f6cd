"""The one way in which a terminal shows a table: a bold title, no lines, the first column on the left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.table import Table
from rich.text import Text

from linrec_bench.terminal.streams import heading, out


def show_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    title: str = "",
    left: Collection[str] = (),
    fold: Collection[str] = (),
    gap: int = 2,
) -> None:
    """Columns stand on the right, but the first and those in `left`, `gap` characters apart. The first and
    those in `fold` break into lines where the terminal is narrow; the others stay whole."""
    if title:
        heading(title)
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for at, name in enumerate(head):
        table.add_column(
            name,
            justify="left" if at == 0 or name in left else "right",
            no_wrap=at > 0 and name not in fold,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    out.print(table)
