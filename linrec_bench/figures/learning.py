"""Learning curves: validation NDCG against the seconds that training took to get there."""

from __future__ import annotations

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrec_bench.analysis.trials import measured
from linrec_bench.figures import facets
from linrec_bench.figures.panels import Panels, label_beside
from linrec_bench.figures.quality import ROWS
from linrec_bench.figures.style import RC, NothingToDraw, look

METRIC = "ndcg@10"


def draw(summary: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Validation NDCG@10 of every seed against the sum of its epoch times; a mark at the best epoch.

    Raises `NothingToDraw` where no trial that ended ok has both.
    """
    del summary
    curves = learning_curves(samples)
    if curves.empty:
        raise NothingToDraw(f"no trial that ended ok has validation {METRIC} and epoch times")
    with matplotlib.rc_context(RC):
        layout = facets.settings(curves, ROWS)
        figure, grid = Panels(len(layout), 1, list(curves["attention"].unique()), width=5.0, height=2.8).make(
            title="Learning curves",
            subtitle=f"{facets.named(facets.fixed(curves, ROWS))}; a line a seed, marked at its best epoch.",
        )
        for (ax,), setting in zip(grid, layout, strict=True):
            part = facets.select(curves, setting)
            _draw_panel(ax, part)
            ax.set_ylabel("\n".join(filter(None, (facets.named(setting), "validation NDCG@10"))))
        grid[0][0].set_xlim(left=0)
        for (ax,), setting in zip(grid, layout, strict=True):
            label_beside(ax, _heights(ax, facets.select(curves, setting)))
        grid[-1][0].set_xlabel("training time (s)")
    return figure


def learning_curves(samples: pd.DataFrame) -> pd.DataFrame:
    """One row a validated epoch of each trial of task recommend: case columns, `seconds` and `quality`."""
    rows = measured(samples[samples["task"] == "recommend"])
    trial = ["run_id", "case_id", "round"]
    epochs = rows[rows["measure"] == "epoch_time"].sort_values([*trial, "repeat"])
    spent = epochs[[*trial, "repeat"]].assign(seconds=epochs.groupby(trial)["value"].cumsum())
    quality = rows[(rows["phase"] == "validation") & (rows["measure"] == METRIC)]
    return quality.rename(columns={"value": "quality"}).merge(spent, on=[*trial, "repeat"])


def _draw_panel(ax: Axes, part: pd.DataFrame) -> None:
    for (label, _, _), curve in part.groupby(["attention", "case_id", "round"], sort=False):
        ordered = curve.sort_values("seconds")
        found = look(str(label))
        ax.plot(
            ordered["seconds"],
            ordered["quality"],
            color=found.colour,
            linestyle=found.dashes,
            marker=found.marker,
            markevery=[int(ordered["quality"].to_numpy().argmax())],
            linewidth=1.1,
            gid=f"line {label}",
        )


def _heights(ax: Axes, part: pd.DataFrame) -> dict[str, tuple[float, bool]]:
    """The height of each mechanism's label: that of the best epoch, the mean over seeds."""
    low, high = ax.get_ylim()
    best = part.groupby(["attention", "case_id", "round"], sort=False)["quality"].max()
    means = best.groupby("attention", sort=False).mean()
    return {str(label): (float((mean - low) / (high - low)), False) for label, mean in means.items()}
