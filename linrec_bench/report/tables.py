"""The summary as tables: one row a case, with intervals, ratios, predictions, and why nothing ran."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from linrec_bench.analysis.frontier import memory_frontier
from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.summary import METRIC
from linrec_bench.analysis.systems import compares_systems, named
from linrec_bench.declarations import trainings
from linrec_bench.presentation import case_names, words
from linrec_bench.presentation import numbers as say
from linrec_bench.report.frames import SETTINGS, Part, number, phases, records, shared, varying
from linrec_bench.report.table import Cell, Column, Row, Table, Tone, build

_NUMBERS = ("batch_size", "hidden_size", "heads", "layers", "seed")


def cost_tables(part: Part) -> list[Table]:
    """A table for each phase of a part, one row a case."""
    found = []
    for phase, work, rows in phases(part.rows):
        references = [name for name in dict.fromkeys(rows["reference"]) if name]
        note = f"Ratios refer to {', '.join(references)} at the same settings and N." if references else ""
        caption = f"{part.titled(work)}: {shared(rows)}"
        ordered = rows.sort_values([*SETTINGS, "seq_len"], kind="stable")
        slug = f"{part.slug}-{phase}".replace("_", "-")
        found.append(build(caption, _cost_columns(rows), records(ordered), id=slug, note=note))
    return found


def _cost_columns(rows: pd.DataFrame) -> list[Column]:
    return [
        *_case_columns(rows),
        Column(
            "time",
            _with_interval("time_s", say.duration, say.duration_interval),
            meaning="of one call, median",
        ),
        Column("time ratio", _with_interval("time_ratio", say.ratio, _ratio_interval)),
        Column("peak memory", _plain("memory_bytes", say.memory)),
        Column(
            "predicted",
            _plain("predicted_peak_bytes", say.memory),
            meaning="peak memory, counted before the run",
        ),
        Column("memory ratio", _plain("memory_ratio", say.ratio)),
        Column(
            "process peak",
            _plain("peak_process_bytes", say.memory),
            meaning="CPU: with what kernels take for themselves and the heap does not give back",
        ),
        Column("of ceiling", _plain("ceiling_share", say.percent), meaning="share of what the device can do"),
        Column("energy", _plain("energy_j", say.energy)),
        Column("attention share", _plain("attention_share", say.percent), meaning="of the time of a call"),
        Column("kernel", _text("kernel"), numeric=False),
        Column("status", _status, numeric=False),
    ]


def frontier_table(part: Part, memory_bytes: float | None) -> Table | None:
    """How long a history memory holds for each batch size: measured and, for a device of `memory_bytes`,
    predicted from exact counts. None where the part has no memory at all."""
    if part.rows["memory_bytes"].isna().all():
        return None
    found = memory_frontier(part.rows, limit_bytes=memory_bytes)
    for column in ("predicted_fits", "predicted_by"):
        found[column] = found.get(column, pd.Series(math.nan, index=found.index))
    shown = [name for name in varying(part.rows) if name != "batch_size"]
    columns = [
        Column("mechanism", _mechanism, numeric=False),
        *([Column("phase", _phase, numeric=False)] if part.rows["phase"].nunique() > 1 else []),
        *map(_setting, shown),
        Column("batch", _plain("batch_size", say.whole)),
        Column("longest N", _plain("fits", say.whole), meaning="that ended ok"),
        Column("N x batch", _plain("tokens", say.whole), meaning="events at once"),
        Column("peak memory", _plain("memory_bytes", say.memory), meaning="there"),
        Column(
            "too long", _length("fails", "fails_by"), meaning="the shortest longer N known not to fit memory"
        ),
        Column("predicted longest N", _length("predicted_fits", "predicted_by"), meaning="from counts"),
    ]
    limit = "" if memory_bytes is None else f" Predicted for all {say.memory(memory_bytes)} of the device."
    note = f"A row a batch size.{limit}"
    caption = f"{part.name}: what memory holds, {shared(part.rows)}"
    return build(caption, columns, records(found), id=f"{part.slug}-frontier", note=note)


def _phase(row: Row) -> Cell:
    phase = str(row["phase"])
    return Cell(words.phase(str(row["task"]), phase), sort=phase)


def _length(column: str, how: str) -> Callable[[Row], Cell]:
    """A length to three digits where it was extrapolated or interpolated, and how it is known."""

    def cell(row: Row) -> Cell:
        value = number(row, column)
        if math.isnan(value):
            return Cell(say.MISSING)
        said = (
            "any" if math.isinf(value) else say.length(value) if how == "predicted_by" else say.whole(value)
        )
        return Cell(said, small=str(row[how]), sort=value)

    return cell


def quality_tables(summary: pd.DataFrame, differences: pd.DataFrame | None = None) -> list[Table]:
    """Task `recommend`: variants (or systems) over their seeds where there are several, then one row a case,
    then their `differences` paired by user and seed."""
    recommend = summary[summary["task"].isin(trainings())]
    if recommend.empty:
        return []
    rows = named(recommend)
    what = "system" if compares_systems(recommend) else "mechanism"
    metrics = [
        column for column in summary.columns if METRIC.fullmatch(column) and rows[column].notna().any()
    ]
    caption = f"Ranking on test: {shared(rows)}"
    seeds = across_seeds(rows)
    found = []
    if seeds["seeds"].max() > 1 or rows["seed"].nunique() > 1:
        note = "Means over seeds with 95 % t intervals."
        columns = _variant_columns(rows, metrics, what)
        found.append(build(f"{caption}, over seeds", columns, records(seeds), id="quality-seeds", note=note))
    note = "" if found else "One seed: no intervals over seeds, so a small difference shows nothing."
    if not found and differences is not None:
        note += " The differences below have intervals over users."
    columns = [
        *_case_columns(rows, what),
        *(Column(words.metric(name), _plain(name, say.metric)) for name in metrics),
        Column("training", _plain("train_time_s", say.duration), meaning="until it stopped"),
        *_matched_columns(rows, _plain("to_target_s", say.duration)),
        Column("epochs", _plain("epochs", say.whole)),
        Column("best epoch", _plain("best_epoch", say.whole)),
        Column("events/s", _plain("events_per_s", say.whole)),
        Column("peak memory", _plain("memory_bytes", say.memory)),
        Column("process peak", _plain("peak_process_bytes", say.memory)),
        Column("parameters", _plain("parameters", say.whole)),
        Column("status", _status, numeric=False),
    ]
    found.append(build(caption, columns, records(rows), id="quality", note=note))
    return [*found, *([_difference_table(differences)] if differences is not None else [])]


def _difference_table(differences: pd.DataFrame) -> Table:
    """A row a variant and what it is compared with."""
    setting = [name for name in ("model", "dataset") if differences[name].nunique() > 1]
    systems = bool((differences["model"] == "").all())
    own, its = (
        [] if systems else [Column(name, _direction(column), numeric=False)]
        for name, column in (("direction", "causal"), ("its direction", "against_causal"))
    )
    columns = [
        Column("system" if systems else "mechanism", _mechanism, numeric=False),
        *own,
        Column("against", _text("against"), numeric=False),
        *its,
        Column("N", _plain("seq_len", say.whole)),
        *map(_setting, setting),
        Column(
            "difference", _with_interval("difference", say.metric, _metric_interval), meaning="of NDCG@10"
        ),
        Column("p", _plain("p", say.p_value), meaning="before correction"),
        Column("p, Holm", _plain("p_holm", say.p_value), meaning="corrected over this table"),
        Column(
            "could show", _plain("detectable", say.metric), meaning="the least difference that would be shown"
        ),
        Column("users", _plain("users", say.whole)),
        Column("seeds", _plain("seeds", say.whole)),
    ]
    note = (
        "95 % intervals over users and seeds, paired; with one seed over users alone, which compares two "
        "trained models and leaves the mechanisms untested: no p-value."
    )
    renamed = differences.rename(columns={"low": "difference_low", "high": "difference_high"})
    several = differences["seeds"] > 1
    for column in ("p", "p_holm", "detectable"):
        # Of an older version: p-values of one seed, and no least difference.
        renamed[column] = differences[column].where(several) if column in differences else math.nan
    return build("Differences of NDCG@10 on test", columns, records(renamed), id="differences", note=note)


def _variant_columns(rows: pd.DataFrame, metrics: list[str], what: str) -> list[Column]:
    setting = [name for name in varying(rows) if name != "seed"]
    return [
        Column(what, _mechanism, numeric=False),
        *_directions(rows),
        Column("N", _plain("seq_len", say.whole)),
        *map(_setting, setting),
        Column("seeds", _plain("seeds", say.whole)),
        Column("failed", _plain("failed", say.whole), meaning="seeds that did not end ok"),
        *(Column(words.metric(name), _with_interval(name, say.metric, _metric_interval)) for name in metrics),
        Column("training", _with_interval("train_time_s", say.duration, say.duration_interval)),
        *_matched_columns(rows, _with_interval("to_target_s", say.duration, say.duration_interval)),
        Column("peak memory", _with_interval("memory_bytes", say.memory, say.memory_interval)),
    ]


def _matched_columns(rows: pd.DataFrame, cell: Callable[[Row], Cell]) -> list[Column]:
    """The seconds and joules of a given quality, where trainings were validated and something got there."""
    if "to_target_s" not in rows or rows["quality_target"].isna().all():
        return []
    targets = sorted(rows["quality_target"].dropna().unique())
    name = f"to {say.metric(targets[0])}" if len(targets) == 1 else "to the target"
    meaning = "of training until validation NDCG@10 reached it; longer than the training where empty"
    joules = Column(f"{name}, energy", _plain("to_target_j", say.energy))
    return [Column(name, cell, meaning=meaning), *([joules] if rows["to_target_j"].notna().any() else [])]


def _case_columns(rows: pd.DataFrame, what: str = "mechanism") -> list[Column]:
    """Mechanism (or system), N, and the settings in which the rows differ."""
    return [
        Column(what, _mechanism, numeric=False),
        *_directions(rows),
        Column("N", _plain("seq_len", say.whole), meaning="sequence length"),
        *map(_setting, varying(rows)),
    ]


def _setting(name: str) -> Column:
    shown = case_names.axis(name)
    if name in _NUMBERS:
        return Column(shown, _plain(name, say.whole))
    return Column(shown, _text(name), numeric=False)


def _directions(rows: pd.DataFrame) -> list[Column]:
    """A column of the direction where the rows have both."""
    if rows["causal"].nunique() < 2:
        return []
    return [Column("direction", _direction("causal"), numeric=False)]


def _direction(column: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        word = words.direction(row[column])
        return Cell(word, sort=word)

    return cell


def _mechanism(row: Row) -> Cell:
    name = str(row.get("system", row["attention"]))
    return Cell(name, sort=name, key=name)


def _text(column: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        text = str(row[column])
        return Cell(text, sort=text)

    return cell


def _plain(column: str, form: Callable[[float], str]) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value = number(row, column)
        return Cell(form(value), sort=value)

    return cell


def _with_interval(
    column: str, form: Callable[[float], str], ends: Callable[[float, float, float], str]
) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value, low, high = (number(row, f"{column}{end}") for end in ("", "_low", "_high"))
        small = "" if math.isnan(value) or low == high else ends(value, low, high)
        return Cell(form(value), small=small, sort=value)

    return cell


def _ratio_interval(value: float, low: float, high: float) -> str:
    del value
    return say.interval(low, high)


def _metric_interval(value: float, low: float, high: float) -> str:
    del value
    return say.interval(low, high, say.metric)


def _status(row: Row) -> Cell:
    status = str(row["status"])
    if status == "ok":
        return Cell("ok", sort="ok", tone="quiet")
    tone: Tone = "open" if status == "skipped" else "bad"
    return Cell(words.status(status), small=str(row["detail"]), sort=status, tone=tone)
