"""What a data set is like, in a terminal: its numbers, and a bar for each range of lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linrec_bench.data import Sniffed
from linrec_bench.data.description import Bin
from linrec_bench.terminal.streams import draws_blocks, out, paragraph
from linrec_bench.terminal.tables import show_table

_WIDTH = 79
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show_first_rows(sniffed: Sniffed) -> None:
    """User, item and time of the first rows of a log, as they are written."""
    roles = ("user", "item", "time")
    columns = [str(sniffed.params[role]) for role in roles if sniffed.params[role] != "none"]
    head = [
        role if role == column else f"{role} ({column})" for role, column in zip(roles, columns, strict=False)
    ]
    show_table(head, sniffed.rows, left=head, fold=head)
    if len(columns) < len(roles):
        out.print("no time: the rows are taken to be in the order of time")
    out.print()


def show_data(found: Mapping[str, int | float], bins: Sequence[Bin], *, dropped: Sequence[str] = ()) -> None:
    """The numbers of `data.describe`, then the users of each range of lengths."""
    optional = ("dropped_rows", "removed_users", "removed_items", "removed_events")
    for key, value in found.items():
        if key not in optional or value:
            out.print(f"{key:<16}{_number(value):>14}")
    if found["removed_events"]:
        paragraph("removed: by min_interactions, users and items with too few events")
    for reason in dropped:
        paragraph(f"dropped: {reason}")
    out.print()
    lines = histogram(bins, blocks=draws_blocks(), width=min(_WIDTH, out.width - 1))
    out.print("\n".join(lines), soft_wrap=True)


def histogram(bins: Sequence[Bin], *, blocks: bool, width: int = _WIDTH) -> list[str]:
    """A line a range under a heading: the range, its users, their share, and a bar in proportion to it."""
    total, most = sum(part.users for part in bins), max(part.users for part in bins)
    ranges = [
        f"{part.first:,}" if part.first == part.last else f"{part.first:,} to {part.last:,}" for part in bins
    ]
    columns = max(map(len, ranges))
    lines = [f"{'events':>{columns}} {'users':>11} {'share':>7}"]
    for part, ends in zip(bins, ranges, strict=True):
        words = f"{ends:>{columns}} {part.users:>11,} {part.users / total:>7.1%}  "
        lines.append(words + _bar(part.users / most, max(0, width - len(words)), blocks=blocks))
    return lines


def _bar(share: float, width: int, *, blocks: bool) -> str:
    """At most `width` characters; the least that there is shows as a mark."""
    if not blocks:
        return "#" * (max(1, round(share * width)) if share else 0)
    eighths = max(1, round(share * width * 8)) if share else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _number(value: int | float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.2%}"
