"""Systems ranked by their quality on test, in one sentence for all that compete with each other."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from linrec_bench.analysis.paired_quality import METRIC, metric_name, short
from linrec_bench.analysis.systems import OWN, setting_word

_SIDES = ("above it", "no difference shown", "below it")

_PLACE = ("dataset", "seq_len", *OWN)


def ranking(differences: pd.DataFrame, *, level: float = 0.05) -> list[str]:
    """What `quality.differences` of systems found: those above the reference, those of which no difference is
    shown, those below, each the best first, by how much and with the 95 % interval of that.

    `hstu: test NDCG@10 .1720 (ml-1m, N = 50, 2 seeds, 943 users). Above it: fuxi-linear +.0056 [...]`.
    A difference is shown where its p-value, after Holm's correction over the table, is below `level`.
    """
    said = []
    for place, group in _groups(differences):
        for against, rows in group.groupby("against"):
            paired = rows[rows["users"] > 0].sort_values("difference", ascending=False, kind="stable")
            told: dict[str, list[str]] = {words: [] for words in _SIDES}
            for _, row in paired.iterrows():
                told[_side(row, level)].append(_distance(row))
            told["with no seed and user in common"] = list(rows.loc[rows["users"] == 0, "attention"])
            # The reference has its own mean, over all its seeds, where a system shares them all.
            quality = float(rows.sort_values("seeds")["against_quality"].iloc[-1])
            counts = [_counted(paired[of], word) for of, word in (("seeds", "seed"), ("users", "user"))]
            words = ". ".join(
                _capital(f"{side}: {'; '.join(names)}") for side, names in told.items() if names
            )
            metric = metric_name(str(rows["metric"].iloc[0]))
            where = ", ".join([place, *filter(None, counts)])
            said.append(f"{against}: test {metric} {short(quality)} ({where}). {words}")
    return said


def by_means(variants: pd.DataFrame) -> list[str]:
    """The means of systems alone (`seeds.across_seeds`), where there is nothing to pair."""
    if METRIC not in variants:
        return []
    return [_means(place, rows) for place, rows in _groups(variants[variants["seeds"] > 0])]


def _means(place: str, rows: pd.DataFrame) -> str:
    ordered = rows.sort_values(METRIC, ascending=False, kind="stable")
    told = "; ".join(f"{row['attention']} {short(row[METRIC])}" for _, row in ordered.iterrows())
    where = f"{place}, {_counted(ordered['seeds'], 'seed')}"
    return f"test {metric_name(METRIC)}, the best first ({where}): {told}"


def _groups(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of one setting, and the setting in words: data set and length, and what else varies."""
    told = [column for column in OWN if rows[column].nunique() > 1]
    for _, group in rows.groupby(list(_PLACE), dropna=False):
        first = group.iloc[0]
        words = [setting_word(column, first[column]) for column in told if pd.notna(first[column])]
        yield ", ".join([str(first["dataset"]), f"N = {first['seq_len']:,}", *words]), group


def _side(row: pd.Series, level: float) -> str:
    above, unknown, below = _SIDES
    if not row["p_holm"] < level:
        return unknown
    return above if row["difference"] > 0 else below


def _distance(row: pd.Series) -> str:
    """`recgrela +.0141 [.0076, .0212]`; without an interval where there is none."""
    sign = "-" if row["difference"] < 0 else "+"
    size = f"{row['attention']} {sign}{short(abs(row['difference']))}"
    return size if pd.isna(row["low"]) else f"{size} [{short(row['low'])}, {short(row['high'])}]"


def _counted(values: pd.Series, word: str) -> str:
    """`2 seeds`, `1 to 3 seeds`, `943 users`; nothing of no values."""
    if values.empty:
        return ""
    least, most = int(values.min()), int(values.max())
    number = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    return f"{number} {word}{'' if most == 1 else 's'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
