"""Quality of variants against each other, paired by user and seed, from the ranks that a run has stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.naming import is_meant
from linrec_bench.analysis.risk import QUALITY
from linrec_bench.analysis.seeds import VARIANT
from linrec_bench.analysis.significance import holm
from linrec_bench.analysis.systems import compared, compares_systems, mechanisms, reference_system
from linrec_bench.analysis.user_bootstrap import UserDifference, crossed
from linrec_bench.declarations import trainings

METRIC = "ndcg@10"

METRICS = ("recall@", "ndcg@", "mrr@")
"""What `of_ranks` knows, for each cut-off."""

Ranks = Mapping[tuple[str, int], Mapping[str, np.ndarray]]
"""What `Run.ranks()` returns: by case and round the arrays `user` and `rank`."""

Asked = tuple[np.ndarray, Array]
"""Users that a trained model was asked about, and the metric of each."""

SETTING = tuple(c for c in VARIANT if c not in ("run_id", "suite", "attention", "causal"))
"""What two variants must share to be compared."""

COLUMNS = (
    *VARIANT,
    "model_name",
    "system",
    "against",
    "against_causal",
    "metric",
    "quality",
    "against_quality",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "users",
    "seeds",
    "over",
    "detectable",
)
"""Of the table of `differences`: a variant and its name, what it is compared with, both means, their
difference with its interval, p-values before and after Holm's correction over the table (none for one seed),
what the interval resamples, and the least difference that could have been shown among so many."""


@dataclass(frozen=True)
class _Ranked:
    """One variant: by seed the users that were asked and the metric of each."""

    row: pd.Series
    by_seed: Mapping[int, Asked]

    @property
    def name(self) -> tuple[str, bool]:
        return str(self.row["system"]), bool(self.row["causal"])


def of_ranks(ranks: np.ndarray, metric: str) -> Array:
    """The metric of each query with one relevant item: `ndcg@10`, `recall@5`, `mrr@20`."""
    kind, _, k = metric.partition("@")
    gains = {"recall": np.ones(len(ranks)), "ndcg": 1 / np.log2(ranks + 1.0), "mrr": 1 / ranks}
    if kind not in gains or not k.isdecimal():
        raise ValueError(f"metric {metric!r}; expected such as ndcg@10, recall@5 or mrr@20")
    return np.where(ranks <= int(k), gains[kind], 0.0)


def differences(cases: pd.DataFrame, ranks: Ranks, *, reference: str, metric: str = METRIC) -> pd.DataFrame:
    """One row (`COLUMNS`) a variant and what it is compared with: the reference mechanism in its setting.

    `cases` has a row a case (a summary). A variant is compared with the reference of its own direction, or
    with any where there is none of it; the bidirectional reference is compared with the causal one. Where
    systems are compared (`analysis.systems`), each is with the one that has the reference mechanism:
    `system` and `against` are their names, `model` and settings that are a system's own are empty. Users
    and seeds are those that both sides have; rounds of one seed are averaged. Raises `ValueError` for another
    metric than `of_ranks` knows.
    """
    if compares_systems(cases):
        return _between_systems(cases, ranks, reference, metric)
    found = []
    for group in _settings(cases, ranks, metric):
        names = [variant.name for variant in group]
        meant = is_meant(pd.DataFrame([variant.row for variant in group]), reference)
        known = [name for name, match in zip(names, meant, strict=True) if match]
        for variant in group:
            for other in group:
                if other.name in _partners(variant.name, known):
                    found.append(_record(variant, other, metric))
    return _corrected(found)


def _between_systems(cases: pd.DataFrame, ranks: Ranks, reference: str, metric: str) -> pd.DataFrame:
    recommend = cases[cases["task"].isin(trainings())]
    against = reference_system(recommend, reference)
    found = []
    for group in _settings(compared(recommend), ranks, metric):
        for other in (variant for variant in group if variant.name[0] == against):
            found += [_record(variant, other, metric) for variant in group if variant is not other]
    return _corrected(found)


def between_runs(
    cases_a: pd.DataFrame,
    ranks_a: Ranks,
    cases_b: pd.DataFrame,
    ranks_b: Ranks,
    *,
    metric: str = METRIC,
) -> pd.DataFrame:
    """As `differences`: each variant of run B against the same one of run A."""
    before = {_place(variant): variant for group in _settings(cases_a, ranks_a, metric) for variant in group}
    after = [variant for group in _settings(cases_b, ranks_b, metric) for variant in group]
    pairs = [(variant, before[_place(variant)]) for variant in after if _place(variant) in before]
    return _corrected([_record(b, a, metric) for b, a in pairs])


def between_cases(
    cases_a: Sequence[str], ranks_a: Ranks, cases_b: Sequence[str], ranks_b: Ranks, *, metric: str = METRIC
) -> UserDifference | None:
    """Cases B minus cases A, a seed each and paired in this order, over the users that all asked about.

    None where a case has no ranks, or another metric than `of_ranks` knows is asked for.
    """
    known = {case for case, _ in ranks_a}, {case for case, _ in ranks_b}
    if not (metric.startswith(METRICS) and known[0].issuperset(cases_a) and known[1].issuperset(cases_b)):
        return None
    sides = ((cases_b, ranks_b), (cases_a, ranks_a))
    own, against = _common(*[[_of_case(case, ranks, metric) for case in cases] for cases, ranks in sides])
    return crossed(own - against) if own.size else None


def _place(variant: _Ranked) -> tuple[object, ...]:
    return (*(variant.row[column] for column in SETTING), *variant.name)


def _partners(own: tuple[str, bool], known: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """The references that a variant is compared with."""
    if own in known:
        # Of the reference itself, what seeing both directions brings.
        return [name for name in known if name[0] == own[0] and name[1] and not own[1]]
    return [name for name in known if name[1] == own[1]] or list(known)


def _settings(cases: pd.DataFrame, ranks: Ranks, metric: str) -> Iterator[list[_Ranked]]:
    """The variants of each setting that have ranks."""
    with_ranks = {case_id for case_id, _ in ranks}
    done = mechanisms(cases[cases["task"].isin(trainings()) & (cases["status"] == "ok")])
    done = done[done["case_id"].isin(with_ranks)]
    for _, setting in done.groupby(list(SETTING), dropna=False):
        group = []
        for _, rows in setting.groupby(["system", "causal"], dropna=False):
            by_seed = {
                int(row["seed"]): _of_case(str(row["case_id"]), ranks, metric) for _, row in rows.iterrows()
            }
            group.append(_Ranked(rows.iloc[0], by_seed))
        yield group


def _of_case(case_id: str, ranks: Ranks, metric: str) -> Asked:
    """The users of a case and the metric of each, the mean over its rounds."""
    rounds = [arrays for (own, _), arrays in sorted(ranks.items()) if own == case_id]
    return rounds[0]["user"], np.mean([of_ranks(arrays["rank"], metric) for arrays in rounds], axis=0)


def _record(variant: _Ranked, other: _Ranked, metric: str) -> tuple[dict[str, object], UserDifference]:
    own, against = _matched(variant, other)
    found = (
        crossed(own - against)
        if own.size
        else UserDifference(math.nan, math.nan, math.nan, math.nan, 0, 0, "nothing")
    )
    return {
        **{column: variant.row[column] for column in (*VARIANT, "model_name", "system")},
        "against": other.name[0],
        "against_causal": other.row["causal"],
        "metric": metric,
        "quality": float(own.mean()) if own.size else math.nan,
        "against_quality": float(against.mean()) if own.size else math.nan,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "users": found.users,
        "seeds": found.seeds,
        "over": found.over,
    }, found


def _matched(variant: _Ranked, other: _Ranked) -> tuple[Array, Array]:
    """The metric of [seeds, users] of both, for the users and seeds that both have."""
    seeds = sorted(variant.by_seed.keys() & other.by_seed.keys())
    return _common(*[[side.by_seed[seed] for seed in seeds] for side in (variant, other)])


def _common(own: Sequence[Asked], against: Sequence[Asked]) -> tuple[Array, Array]:
    """The metric of [seeds, users] of both sides, for the users that all have."""
    if not own:
        return np.empty((0, 0)), np.empty((0, 0))
    users = reduce(np.intersect1d, [asked for asked, _ in (*own, *against)])
    found = [
        [metric[np.argsort(asked)][np.searchsorted(np.sort(asked), users)] for asked, metric in side]
        for side in (own, against)
    ]
    return np.array(found[0]), np.array(found[1])


def _corrected(found: Sequence[tuple[dict[str, object], UserDifference]]) -> pd.DataFrame:
    corrected = holm([difference.p for _, difference in found])
    risk = QUALITY / max(sum(not math.isnan(p) for p in corrected), 1)
    rows = [
        record | {"p_holm": p, "detectable": difference.reach(risk)}
        for (record, difference), p in zip(found, corrected, strict=True)
    ]
    return pd.DataFrame.from_records(rows, columns=list(COLUMNS))
