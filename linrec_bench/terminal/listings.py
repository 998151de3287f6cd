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


_LEAST_SHOWN = 10
"""Characters of a field that is cut."""


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
    """Some fields of records, a line each; the last one is cut where the terminal ends, and left out where
    hardly any of it would be seen."""
    most = [max(len(field), *(len(entry[field]) for entry in entries)) for field in fields[:-1]]
    gap = 2 if sum(most) + 2 * len(most) + _LEAST_SHOWN <= out.width else 1
    left = out.width - sum(most) - gap * len(most)
    for record in ({field: field for field in fields}, *entries):
        cells = [f"{record[field]:<{width + gap}}" for field, width in zip(fields, most, strict=False)]
        last = record[fields[-1]]
        if left >= _LEAST_SHOWN:
            cells.append(last if len(last) <= left else f"{last[: left - 1]}…")
        out.print("".join(cells).rstrip(), soft_wrap=True)


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
