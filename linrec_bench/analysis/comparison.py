"""What a comparison of B with A found: a line a measure and place, failures, and what has no partner."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

import pandas as pd

from linrec_bench.analysis.case_pairing import Place

Verdict = Literal["worse", "better", "same", "undecided"]
Bounded = Literal["", "at least", "at most", "unknown"]
Family = Literal["sampled", "counted", "quality"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measure at one place. `change` is B / A, for quality B - A, with its 95 % interval.

    `a` and `b` are medians over rounds (means over seeds for quality) in `unit`. `replicates` are rounds or
    seeds, `p` is the p-value after Holm's correction and `detectable` the least change, in the form of
    `change` and upward, that would have been decided among so many comparisons (both NaN where nothing was
    tested), `over` says what an interval of quality is over (seeds, users, or both), and `reason` why a
    verdict is undecided.
    """

    place: Place
    measure: str
    unit: str
    family: Family
    a: float
    b: float
    change: float
    low: float
    high: float
    replicates: int = 1
    p: float = math.nan
    detectable: float = math.nan
    over: str = ""
    verdict: Verdict = "undecided"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What training until validation NDCG@10 `target` cost at one place, over `seeds` seeds; not judged.

    `a_s` and `b_s` are mean seconds, at least: seeds that never got there (`a_reached`, `b_reached` did)
    count with what they had spent. `a_j` and `b_j` are mean joules, NaN unless measured and reached by all.
    `change` is B / A in seconds with its 95 % interval over seeds; where one side did not get there it is a
    `bound`, and where neither did it is unknown (NaN).
    """

    place: Place
    target: float
    seeds: int
    a_reached: int
    b_reached: int
    a_s: float
    b_s: float
    a_j: float
    b_j: float
    change: float
    bound: Bounded
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A case that did not end ok on at least one side: the status and the reason of each.

    `same` is the verdict where neither side ended ok.
    """

    place: Place
    a: str
    a_detail: str
    b: str
    b_detail: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What A and B share, compared, and what they do not share.

    `only_measured` maps (measure, side) to the number of matched cases where that side alone has the measure.
    """

    lines: tuple[Line, ...]
    failures: tuple[Failure, ...]
    only_a: tuple[Place, ...]
    only_b: tuple[Place, ...]
    only_measured: Mapping[tuple[str, str], int]
    reached: tuple[Reached, ...]

    def verdicts(self) -> Counter[Verdict]:
        """How often each verdict was given; a case that failed on both sides says nothing and is left out."""
        one_sided = [failure.verdict for failure in self.failures if "ok" in (failure.a, failure.b)]
        return Counter([*(line.verdict for line in self.lines), *one_sided])

    def table(self) -> pd.DataFrame:
        """One row a line: the columns of `Place`, then those of `Line`."""
        own = [field.name for field in fields(Line) if field.name != "place"]
        columns = [*(field.name for field in fields(Place)), *own]
        records = [asdict(line.place) | asdict(line) for line in self.lines]
        return pd.DataFrame.from_records(records, columns=columns)
