"""Which case of one side is compared with which of the other, and which have no partner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from linrec_bench.analysis.naming import labels_of
from linrec_bench.analysis.samples_table import Key, outcomes
from linrec_bench.declarations import trainings


@dataclass(frozen=True, kw_only=True)
class Place:
    """What both sides of a match share. Between mechanisms `attention` is that of side B and `against` that
    of side A, else empty; `seed` is None where seeds are the replicates; `case_id` is empty unless only
    it tells cases apart."""

    attention: str
    task: str
    phase: str
    model: str
    dataset: str
    seq_len: int
    batch_size: int
    hidden_size: int
    heads: int
    layers: int
    dtype: str
    device: str
    causal: bool
    seed: int | None
    case_id: str = ""
    against: str = ""


@dataclass(frozen=True)
class Ended:
    """One side of a match: its rows' key and how its worst trial ended."""

    key: Key
    status: str
    detail: str


@dataclass(frozen=True)
class Match:
    """The same work on both sides."""

    place: Place
    a: Ended
    b: Ended

    @property
    def ok(self) -> bool:
        return self.a.status == self.b.status == "ok"


@dataclass(frozen=True)
class Matching:
    """Matches in the order of side A, and the cases that only one side has."""

    matches: tuple[Match, ...]
    only_a: tuple[Place, ...]
    only_b: tuple[Place, ...]


def match_runs(a: pd.DataFrame, b: pd.DataFrame, *, attention: str | None = None) -> Matching:
    """The cases of two runs (their samples), matched by every column that says what a case is.

    Where several cases of a run share those columns (their training differs, say), the ids of the cases
    decide. `attention` keeps one mechanism, by label or name. Raises `ValueError` when a side holds several
    runs, or `attention` is in neither.
    """
    sides = []
    for name, samples in (("A", a), ("B", b)):
        runs = samples["run_id"].nunique()
        if runs > 1:
            raise ValueError(f"side {name} holds {runs} runs; expected one: filter by run_id")
        sides.append(outcomes(samples))
    if attention is not None:
        wanted = _known_labels(pd.concat(sides), attention)
        sides = [side[side["attention"].isin(wanted)] for side in sides]
    return _match(*(_placed(side) for side in sides))


def match_mechanisms(samples: pd.DataFrame, *, attention: str, against: str) -> Matching:
    """The cases of `attention` (side B) with those of `against` (side A) at the same point of one run.

    Both are labels, or names that one label of the run carries. Raises `ValueError` for any other.
    """
    runs = samples["run_id"].nunique()
    if runs > 1:
        raise ValueError(f"the samples hold {runs} runs; expected one: filter by run_id")
    cases = outcomes(samples)
    ours, theirs = (_one_label(cases, name) for name in (attention, against))
    if ours == theirs:
        raise ValueError(f"{attention} and {against} are the same mechanism; expected two")
    a, b = (_placed(cases[cases["attention"] == label]) for label in (theirs, ours))

    def renamed(side: list[tuple[Place, Ended]]) -> list[tuple[Place, Ended]]:
        return [(replace(place, attention=ours, against=theirs), ended) for place, ended in side]

    found = _match(renamed(a), renamed(b))

    def alone(places: tuple[Place, ...], label: str) -> tuple[Place, ...]:
        return tuple(replace(place, attention=label, against="") for place in places)

    return replace(found, only_a=alone(found.only_a, theirs), only_b=alone(found.only_b, ours))


def by_place(matches: Iterable[Match]) -> dict[Place, list[Match]]:
    """Matches of task recommend that differ in their seed alone belong together."""
    groups: dict[Place, list[Match]] = {}
    for match in matches:
        place = replace(match.place, seed=None) if match.place.task in trainings() else match.place
        groups.setdefault(place, []).append(match)
    return groups


def _known_labels(cases: pd.DataFrame, name: str) -> list[str]:
    """`labels_of`; `ValueError` when there is none."""
    found = labels_of(cases, name)
    if not found:
        known = ", ".join(cases["attention"].unique())
        raise ValueError(f"no attention {name!r} among the cases; expected one of {known or '-'}")
    return found


def _one_label(cases: pd.DataFrame, name: str) -> str:
    found = _known_labels(cases, name)
    if len(found) > 1:
        raise ValueError(f"attention {name!r} is {' and '.join(found)} here; expected one of them in full")
    return found[0]


def _placed(cases: pd.DataFrame) -> list[tuple[Place, Ended]]:
    return [
        (
            Place(
                attention=str(case["attention"]),
                task=str(case["task"]),
                phase=str(case["phase"]),
                model=str(case["model"]),
                dataset=str(case["dataset"]),
                seq_len=int(case["seq_len"]),
                batch_size=int(case["batch_size"]),
                hidden_size=int(case["hidden_size"]),
                heads=int(case["heads"]),
                layers=int(case["layers"]),
                dtype=str(case["dtype"]),
                device=str(case["device"]),
                causal=bool(case["causal"]),
                seed=int(case["seed"]),
            ),
            Ended((str(case["run_id"]), str(case["case_id"])), str(case["status"]), str(case["detail"])),
        )
        for case in cases.to_dict("records")
    ]


def _match(a: list[tuple[Place, Ended]], b: list[tuple[Place, Ended]]) -> Matching:
    seen = Counter((side, place) for side, cases in (("a", a), ("b", b)) for place, _ in cases)
    several = {place for (_, place), count in seen.items() if count > 1}

    def told_apart(cases: list[tuple[Place, Ended]]) -> dict[Place, Ended]:
        return {
            replace(place, case_id=ended.key[1]) if place in several else place: ended
            for place, ended in cases
        }

    ours, theirs = told_apart(a), told_apart(b)
    return Matching(
        tuple(Match(place, ended, theirs[place]) for place, ended in ours.items() if place in theirs),
        tuple(place for place in ours if place not in theirs),
        tuple(place for place in theirs if place not in ours),
    )
