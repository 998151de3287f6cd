"""Ranking quality by group of test users, the groups evenly spaced."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.groups import KINDS, quality_by_group
from linrec_bench.analysis.seeds import VARIANT
from linrec_bench.analysis.systems import FLOORS, compared
from linrec_bench.figures import curves, layout
from linrec_bench.figures.style import NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers
from linrec_bench.results.rows import TRIAL
from linrec_bench.results.samples_file import plain

BY_GROUP = curves.Curve(
    column="quality",
    title="Ranking quality by group of users",
    axis="test NDCG@10",
    form=lambda value: f"{value:.3g}",
    value=numbers.metric,
    ends=lambda _, low, high: numbers.interval(low, high, numbers.metric),
    base=0,
    interval=True,
    x="rank",
    x_axis="group of users",
    higher=True,
    down=(),
    across=tuple(
        column for column in VARIANT if column not in ("attention", "run_id", "suite", "task", "phase")
    ),
)


def draw(
    summary: pd.DataFrame, samples: pd.DataFrame, curve: curves.Curve, *, kind: str, style: Style
) -> TooltipFigure:
    """Test NDCG@10 by group of `kind`: means over seeds, 95 % t intervals (none with one seed)."""
    grouped = plain(samples[samples["group_by"].isin(KINDS) | (samples["measure"] == TRIAL)])
    found, summary = quality_by_group(compared(grouped, summary)), compared(summary)
    rows = _floors_beside_one_model(found[found["kind"] == kind])
    if rows.empty:
        raise NothingToDraw(f"no trial that ended ok has quality by {kind}")
    if rows["group"].nunique() < 2:
        raise NothingToDraw(f"one group by {kind} only: {rows['group'].iloc[0]}")
    most = int(rows["seeds"].max())
    seeds = "One seed, no interval." if most == 1 else f"Mean and 95 % t interval over {most} seeds."
    return curves.draw(
        rows.assign(status="ok", reference=layout.reference_of(summary) or ""),
        curve,
        style=style,
        said=f"{seeds}{_queries(rows)}",
    )


def _floors_beside_one_model(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of floors under the model beside them, so that they share its panel; unchanged where several
    models learnt."""
    floors = rows["system_name"].isin(FLOORS)
    models = rows.loc[~floors, "model"].unique()
    return rows if len(models) != 1 else rows.assign(model=models[0])


def _queries(rows: pd.DataFrame) -> str:
    """How many queries each group has, where that is known."""
    counts = rows.groupby(["rank", "group"])["queries"].max().reset_index()
    if counts["queries"].isna().any():
        return ""
    said = ", ".join(f"{row['group']}: {row['queries']:,.0f}" for row in counts.to_dict("records"))
    return f" Queries: {said}."
