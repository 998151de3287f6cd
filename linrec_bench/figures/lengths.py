"""How long the histories of a data set are: users in each range of lengths, and who is shorter than N."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Int64
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from linrec_bench.figures.style import PAPER, Style
from linrec_bench.figures.ticks import formatter
from linrec_bench.presentation import numbers
from linrec_bench.whole_file import replaced

DPI = 180
_PER_OCTAVE = 4
_COLOUR, _LINE = "#56B4E9", "#D55E00"


def save(name: str, lengths: Int64[np.ndarray, " U"], path: Path, *, style: Style = PAPER) -> None:
    """Draw the lengths into the PNG file `path`.

    Raises `ValueError` when it cannot be written.
    """
    with matplotlib.rc_context(style.rc):
        figure = draw(name, lengths, style=style)
        with replaced(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def draw(name: str, lengths: Int64[np.ndarray, " U"], *, style: Style = PAPER) -> Figure:
    """Bars: users whose histories have so many events, a quarter of a doubling each. Line: the share of
    events that lie in histories cut to N, which is what a limit of N keeps."""
    figure = Figure(figsize=(5.2, 3.1), layout="constrained")
    axes = figure.add_subplot()
    shortest, longest = int(lengths.min()), int(lengths.max())
    edges = np.unique(
        np.floor(2 ** np.arange(np.log2(shortest), np.log2(longest + 1) + 1, 1 / _PER_OCTAVE)).astype(int)
    )
    edges = np.append(edges[edges <= longest], longest + 1)
    # A range ends where the next begins, in whole events.
    axes.hist(lengths, bins=(edges - 0.5).tolist(), color=_COLOUR, edgecolor=style.ground, linewidth=0.4)
    axes.set_xscale("log", base=2)
    powers = [2.0**power for power in range(int(np.log2(shortest)), int(np.log2(longest)) + 1)]
    axes.xaxis.set_major_locator(FixedLocator(powers[:: -(-len(powers) // 8)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(formatter(numbers.whole))
    axes.yaxis.set_major_formatter(formatter(numbers.whole))
    axes.set_xlabel("events in a history, and limit N")
    axes.set_ylabel("users")
    axes.grid(axis="x", visible=False)
    axes.set_title(
        f"{name}: {len(lengths):,} histories, median {np.median(lengths):,.0f}, "
        f"mean {lengths.mean():,.0f}, longest {longest:,}",
        loc="left",
    )
    kept = axes.twinx()
    limits = np.unique(np.geomspace(shortest, longest, 200).astype(int))
    share = [np.minimum(lengths, limit).sum() / lengths.sum() for limit in limits]
    kept.plot(limits, share, color=_LINE)
    kept.set_ylim(0, 1.02)
    kept.set_ylabel("share of events within N", color=_LINE)
    kept.yaxis.set_major_formatter(formatter(numbers.percent))
    kept.grid(visible=False)
    return figure
