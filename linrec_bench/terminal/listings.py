"""Plain listings: records, mappings and the files that were written."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.terminal.streams import out, say
from linrec_bench.terminal.tables import show_table

if TYPE_CHECKING:
    from linrec_bench.results.store import Run


def show_entries(entries: Sequence[Mapping[str, str]]) -> None:
    """Records as a table; the last column takes what width is left."""
    head = list(entries[0]) if entries else []
    show_table(head, ([*entry.values()] for entry in entries), left=head, fold=head[1:])


def show_entry(entry: Mapping[str, str]) -> None:
    """One record: a line a field, wrapped under its value."""
    width = max(map(len, entry)) + 2
    for key, value in entry.items():
        lines = textwrap.wrap(value, max(20, out.width - width), break_on_hyphens=False) or ["-"]
        out.print("\n".join([f"{key:<{width}}{lines[0]}", *(" " * width + line for line in lines[1:])]))


def show_lines(entries: Sequence[Mapping[str, str]], fields: Sequence[str]) -> None:
    """Some fields of records, a line each; the last one is cut where the terminal ends."""
    widths = [max(len(field), *(len(entry[field]) for entry in entries)) + 2 for field in fields[:-1]]
    for record in ({field: field for field in fields}, *entries):
        cells = [f"{record[field]:<{width}}" for field, width in zip(fields, widths, strict=False)]
        left = max(10, out.width - sum(widths))
        last = record[fields[-1]]
        out.print("".join(cells) + (last if len(last) <= left else f"{last[: left - 1]}…"), soft_wrap=True)


def show_files(run: Run) -> None:
    """Where a run was written, and what to do with it next."""
    say(f"samples, summary and environment: {run.folder}")
    say(f"figures: linrec-bench plot {run.folder}")


def show_figures(run: Run, drawn: Mapping[str, Sequence[Path] | str]) -> None:
    """Name the files of each figure, then those that were not drawn, once for each reason."""
    left_out: dict[str, list[str]] = {}
    for name, result in drawn.items():
        if isinstance(result, str):
            left_out.setdefault(result, []).append(name)
        else:
            for path in result:
                out.print(str(path), soft_wrap=True)
    for reason, names in left_out.items():
        say(f"{run.id}: no figure {', '.join(names)}: {reason}")
