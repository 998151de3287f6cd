"""Which panel shows which rows and mechanisms: few of them share a panel, many are told apart in groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from linrec_bench.analysis.systems import Identity, identities, mechanisms
from linrec_bench.figures import facets
from linrec_bench.figures.style import Look, Style
from linrec_bench.presentation import case_names

T = TypeVar("T")

CROWD = 8
"""More mechanisms than this are shown in groups: a panel names one, the others stand behind in grey."""

GROUP = 6

WIDEST = 3
"""Panels beside each other, so that a page holds them; more go below."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One panel: the rows of its `setting`, of which it shows the mechanisms `shown` in colour.

    `named` lists those that are labelled beside it, in order; none for a panel whose neighbour does that.
    `reference` is a mechanism that every panel shows, as the line to compare with.
    """

    rows: pd.DataFrame
    setting: facets.Setting
    title: str
    side: str
    shown: tuple[str, ...]
    named: tuple[str, ...]
    identities: Mapping[str, Identity]
    reference: str | None = None

    def looks(self, style: Style) -> dict[str, Look]:
        """The look of each mechanism that is shown or named; the reference of groups is a dashed line."""
        names = dict.fromkeys((*self.shown, *self.named))
        found = style.looks({name: self.identities[name] for name in names if name != self.reference})
        if self.reference is not None:
            marker = style.look(*self.identities[self.reference]).marker
            found[self.reference] = Look(style.ink, marker, "--")
        return found

    def behind(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """The mechanisms of other panels, with their rows."""
        for label, rows in self.rows.groupby("system", sort=False):
            if label not in self.shown:
                yield str(label), rows


@dataclass(frozen=True)
class Layout:
    """The panels [lines][panels of a line]; `crowded` where mechanisms are shown in groups."""

    lines: list[list[Cell]]
    crowded: bool

    @property
    def columns(self) -> int:
        return max(map(len, self.lines))

    @property
    def cells(self) -> list[Cell]:
        return [cell for line in self.lines for cell in line]

    def pairs(self, grid: Sequence[Sequence[Axes]]) -> Iterator[tuple[Axes, Cell]]:
        """Each panel with its cell; panels of the grid that have none are blanked."""
        for axes, line in zip(grid, self.lines, strict=True):
            yield from zip(axes, line, strict=False)
            for ax in axes[len(line) :]:
                ax.set_axis_off()


def lay_out(
    rows: pd.DataFrame, *, down: Sequence[str], across: Sequence[str], value: str, higher: bool = False
) -> Layout:
    """Settings of the columns `down` below each other, those of `across` beside each other.

    With more than `CROWD` mechanisms, every setting has a line of panels of its own, one a group of at most
    `GROUP` mechanisms. They are grouped by their rank in `value` over all points, the least first (`higher`:
    the highest), so that a panel compares what is close. The mechanism of column `reference`, if there is
    one, stands in every panel.
    """
    rows = mechanisms(rows)
    if rows["system"].nunique() > CROWD:
        return Layout(_in_groups(rows, [*down, *across], value, higher=higher), crowded=True)
    known, panels = identities(rows), facets.settings(rows, across)
    lines: list[list[Cell]] = []
    for setting in facets.settings(rows, down):
        for beside in wrapped(panels):
            parts = [facets.select(rows, setting | panel) for panel in beside]
            names = _labels(pd.concat(parts))
            # Every panel of a column has the same heading, unless panels go below.
            headed = not lines or len(panels) > WIDEST
            lines.append(
                [
                    Cell(
                        rows=part,
                        setting=setting | panel,
                        title=case_names.settings(panel) if headed else "",
                        side=case_names.settings(setting) if number == 0 else "",
                        shown=tuple(_labels(part)),
                        named=tuple(names) if number == len(beside) - 1 else (),
                        identities=known,
                    )
                    for number, (panel, part) in enumerate(zip(beside, parts, strict=True))
                ]
            )
    return Layout(lines, crowded=False)


def _in_groups(rows: pd.DataFrame, columns: Sequence[str], value: str, *, higher: bool) -> list[list[Cell]]:
    known, reference = identities(rows), reference_of(rows)
    ranked = [name for name in _ranked(rows, value, higher=higher) if name != reference]
    count = math.ceil(len(ranked) / GROUP)
    groups = [list(map(str, group)) for group in np.array_split(np.array(ranked, dtype=object), count)]
    lines = []
    for setting in facets.settings(rows, columns):
        part = facets.select(rows, setting)
        for beside in wrapped(groups):
            line = []
            for number, group in enumerate(beside):
                names = tuple(name for name in (*group, reference) if name is not None)
                here = set(part["system"])
                line.append(
                    Cell(
                        rows=part,
                        setting=setting,
                        title="",
                        side=case_names.settings(setting) if number == 0 else "",
                        shown=tuple(name for name in names if name in here),
                        named=names,
                        identities=known,
                        reference=reference,
                    )
                )
            lines.append(line)
    return lines


def wrapped(panels: Sequence[T]) -> list[list[T]]:
    """Lines of at most `WIDEST` panels, as equal in length as can be."""
    count = math.ceil(len(panels) / WIDEST)
    widest = math.ceil(len(panels) / count)
    return [list(panels[at : at + widest]) for at in range(0, len(panels), widest)]


def reference_of(rows: pd.DataFrame) -> str | None:
    """The mechanism that ratios refer to, where the rows name exactly one that is there."""
    if "reference" not in rows:
        return None
    rows = mechanisms(rows)
    named = [str(name) for name in rows["reference"].unique() if name and not pd.isna(name)]
    return named[0] if len(named) == 1 and named[0] in set(rows["system"]) else None


def _ranked(rows: pd.DataFrame, value: str, *, higher: bool) -> list[str]:
    """Mechanisms by their mean rank among those measured at the same point; those without come last."""
    point = [c for c in ("phase", "causal", "seq_len", "batch_size", "hidden_size", "rank") if c in rows]
    ranks = rows.groupby(point)[value].rank(ascending=not higher, pct=True)
    means = ranks.groupby(rows["system"]).mean()
    return [str(name) for name in means.sort_values(kind="stable", na_position="last").index]


def _labels(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows["system"].unique()]
