"""What claims are about, found in samples: an exponent, a value, a ratio, a difference, a crossover.

Each function returns a `Found`: the number with the ends of its interval, and what it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from linrec_bench.analysis.crossover import crossover
from linrec_bench.analysis.intervals import Array, Interval, median_interval, ratio_interval
from linrec_bench.analysis.measurements import CaseRow, Paired, Values, keys_of
from linrec_bench.analysis.polynomial import polynomial
from linrec_bench.analysis.scaling import FEWEST_LENGTHS, Scaling, exact_exponent, fit_scaling
from linrec_bench.analysis.seeds import mean_and_half_width
from linrec_bench.analysis.systems import OWN
from linrec_bench.analysis.verdict import NO_BASIS, Basis, Found, no_number
from linrec_bench.declarations import trainings

EXACT_MEASURES = (
    "flops",
    "operations",
    "dispatches",
    "double_elements",
    "left_bytes",
    "peak_live_bytes",
    "saved_bytes",
    "minimum_bytes",
    "state_bytes",
)
"""Counts on fake tensors: the same on every run, so that they need no interval."""

UNVARYING = (*EXACT_MEASURES, "parameters", "catalogue_size")
"""Measures that have one value a case, whatever process or seed."""

COST_OF = {"time": "time_s", "peak_memory": "memory_bytes", "energy": "energy_j"}
"""Columns of a summary that a crossover of a measure is looked for in; others are columns by themselves."""

Cases = Sequence[CaseRow]


def exponent(curve: Cases, measure: str, values: Values) -> Found:
    """The exponent of N over the cases of one curve; of counts that follow a polynomial, its degree."""
    found = _by_number(curve, "seq_len", values)
    if len(found) < 2:
        ended = _first_failure(curve)
        return no_number("few_lengths", measure=measure, lengths=len(found), needed=2, **ended)
    if measure in EXACT_MEASURES:
        counts = {n: int(np.median(_pooled(rounds))) for n, rounds in found.items()}
        if not any(counts.values()):
            return _exact(0, Basis("zeros"))
        followed = polynomial(counts)
        if followed is not None:
            return _exact(followed.degree, Basis("polynomial", {"polynomial": str(followed)}))
        return _exact(exact_exponent(counts), Basis("two_largest"))
    fit = fit_scaling({n: list(rounds.values()) for n, rounds in found.items()})
    if fit.reason == "few_lengths":
        return no_number("few_lengths", measure=measure, lengths=len(found), needed=FEWEST_LENGTHS)
    # Ends decide whether or not they leave a number to state.
    at = math.nan if fit.exponent is None else fit.exponent
    return Found(at, fit.low, fit.high, Basis(fit.reason or "fit", _growth(fit)))


def slope(curve: Cases, measure: str, values: Values) -> Found:
    """How much an exact count grows for each further token, between the two largest lengths."""
    counts = {n: _typical({0: rounds}) for n, rounds in _by_number(curve, "seq_len", values).items()}
    if len(counts) < 2:
        ended = _first_failure(curve)
        return no_number("few_lengths", measure=measure, lengths=len(counts), needed=2, **ended)
    before, last = sorted(counts)[-2:]
    return _exact((counts[last] - counts[before]) / (last - before), Basis("two_largest"))


def _growth(fit: Scaling) -> dict[str, str | int | tuple[float, ...]]:
    """The form that fits best, and the local slopes between the lengths, as facts of a basis."""
    lengths = [slope.shorter for slope in fit.slopes] + [slope.longer for slope in fit.slopes[-1:]]
    return {
        "form": fit.form,
        "lengths": tuple(map(float, lengths)),
        "slopes": tuple(slope.value for slope in fit.slopes),
    }


def value(cases: Cases, measure: str, values: Values) -> Found:
    """The value of one case; over the seeds of a training their mean, with its t interval."""
    known = [values[key] for key in keys_of(cases) if key in values]
    if not known:
        return no_number("missing", measure=measure, **ending(cases[0]))
    if measure in UNVARYING:
        return _exact(_typical(dict(enumerate(known))))
    if len(known) > 1 or cases[0]["task"] in trainings():
        by_seed = np.array([np.median(_pooled(rounds)) for rounds in known])
        mean, half = mean_and_half_width(by_seed)
        # The half width over one seed is unknown.
        return Found(mean, mean - half, mean + half, Basis("seeds", {"seeds": len(known)}))
    (rounds,) = known
    basis = Basis("rounds", {"rounds": len(rounds)})
    if min(samples.min() for samples in rounds.values()) <= 0:
        mean, half = mean_and_half_width(np.array([np.median(samples) for samples in rounds.values()]))
        return Found(mean, mean - half, mean + half, basis)
    return _over_rounds(median_interval(list(rounds.values())), basis)


def ratio(own: Cases, other: Cases, measure: str, values: Values) -> Found:
    """Own over other at one grid point: paired by round, or by seed where a side has several seeds.

    Both sides must have values.
    """
    mine, theirs = _by_seed(own, values), _by_seed(other, values)
    if measure in UNVARYING:
        above, below = (_typical(side) for side in (mine, theirs))
        return _exact(above / below if below else math.nan)
    if min(_pooled(rounds).min() for side in (mine, theirs) for rounds in side.values()) <= 0:
        return no_number("not_positive", measure=measure)
    if len(mine) == len(theirs) == 1:
        paired = ratio_interval(*(next(iter(side.values())) for side in (mine, theirs)))
        return _over_rounds(paired, Basis("paired_rounds", {"rounds": paired.rounds}))
    logs = [math.log(a / b) for a, b in _seed_pairs(mine, theirs)]
    mean, half = mean_and_half_width(np.array(logs))
    if len(logs) < 2:
        return Found(math.exp(mean), math.nan, math.nan, _few_seeds(measure))
    at, low, high = (math.exp(end) for end in (mean, mean - half, mean + half))
    return Found(at, low, high, Basis("paired_seeds", {"seeds": len(logs)}))


def _over_rounds(found: Interval, basis: Basis) -> Found:
    """Without ends where they are not over processes: one does not tell how much these vary."""
    if found.over != "rounds":
        return Found(found.value, math.nan, math.nan, basis)
    return Found(found.value, found.low, found.high, basis)


def difference(own: Cases, other: Cases, measure: str, values: Values, paired: Paired | None) -> Found:
    """Own less other, paired over seeds: the same seed draws the same order and initial weights for both.

    Paired by user as well where the run stores that: the number and the interval of its finding.
    """
    stored = None if paired is None else _stored_difference(own, other, measure, paired)
    if stored is not None:
        return stored
    pairs = _seed_pairs(_by_seed(own, values), _by_seed(other, values))
    mean, half = mean_and_half_width(np.array([a - b for a, b in pairs]))
    if len(pairs) < 2:
        return Found(mean, math.nan, math.nan, _few_seeds(measure))
    return Found(mean, mean - half, mean + half, Basis("paired_seeds", {"seeds": len(pairs)}))


def _stored_difference(own: Cases, other: Cases, measure: str, paired: Paired) -> Found | None:
    """The row of the table for these two sides and all of their seeds, in either order; None without one."""
    table = paired.differences
    seeds = len({case["seed"] for case in own} & {case["seed"] for case in other})
    table = table[(table["metric"] == measure) & (table["seeds"] == seeds) & table["difference"].notna()]
    for (side, against), sign in (((own, other), 1), ((other, own), -1)):
        case, compared_with = side[0], against[0]
        names = [paired.systems[str(each["case_id"])] for each in (case, compared_with)]
        same = (table["system"] == names[0]) & (table["against"] == names[1])
        same &= table["against_causal"] == compared_with["causal"]
        for column in ("model", "dataset", "seq_len", *OWN):
            # What is a system's own is empty there.
            same &= table[column].isna() | (table[column] == "") | (table[column] == case[column])
        if same.sum() == 1:
            row = table[same].iloc[0]
            if seeds < 2:
                return Found(sign * row["difference"], math.nan, math.nan, _few_seeds(measure))
            low, high = sorted((sign * row["low"], sign * row["high"]))
            facts = {"seeds": seeds, "users": int(row["users"])}
            return Found(sign * row["difference"], low, high, Basis("paired_users", facts))
    return None


def _few_seeds(measure: str) -> Basis:
    return Basis("few_seeds", {"measure": measure})


def crossovers(summary: pd.DataFrame, measure: str, *, own: str, other: str) -> list[tuple[pd.Series, Found]]:
    """From which length on `own` costs less than `other` (both labels), for each line of a summary.

    A mechanism that costs less at every length does so from the shortest measured one, or from before it;
    one that costs more at the longest may still cost less beyond it: its interval has no upper end.
    """
    cost = COST_OF.get(measure, measure)
    if cost not in summary:
        return []
    table = crossover(summary, challenger=own, incumbent=other, cost=cost)
    return [(line, _crossing(line)) for _, line in table.iterrows()]


def _crossing(line: pd.Series) -> Found:
    """The length from which the order is that of the longest, where that is "less"."""
    shortest, longest = int(line["shortest"]), int(line["longest"])
    if line["last"] > 0:
        # Beyond the longest length, not at it.
        beyond = math.nextafter(longest, math.inf)
        return Found(math.inf, beyond, math.inf, Basis("never_crosses", {"longest": longest}))
    if line["outcome"] == "always":
        return Found(shortest, 0.0, shortest, Basis("always_crosses", {"shortest": shortest}))
    low, high = float(line["seq_len_low"]), float(line["seq_len_high"])
    if line["last"] == 0:
        facts = {"rounds": int(line["rounds"])}
        return Found(math.nan, 0.0, math.inf, Basis("no_order_shown", facts))
    if line["outcome"] == "partly":
        return Found(round(high), 0.0, high, Basis("crosses_by", {"since": int(line["since"])}))
    return Found(round(float(line["seq_len"])), low, high)


def _exact(number: float, basis: Basis = NO_BASIS) -> Found:
    return Found(float(number), float(number), float(number), basis)


def ending(case: CaseRow) -> dict[str, str]:
    """How a case ended, as facts of a basis."""
    return {"status": str(case["status"]), "detail": str(case["detail"])}


def _first_failure(cases: Cases) -> dict[str, str]:
    return next((ending(case) for case in cases if case["status"] != "ok"), {})


def _pooled(rounds: Mapping[int, Array]) -> Array:
    return np.concatenate(list(rounds.values()))


Seeds = Mapping[int, dict[int, Array]]
"""Of one side: seed -> round -> values."""


def _by_seed(side: Cases, values: Values) -> Seeds:
    return _by_number(side, "seed", values)


def _by_number(cases: Cases, column: str, values: Values) -> dict[int, dict[int, Array]]:
    """The values of the cases that have some, by a column of whole numbers."""
    numbers = (int(case[column]) for case in cases)
    return {number: values[key] for number, key in zip(numbers, keys_of(cases), strict=True) if key in values}


def _typical(seeds: Seeds) -> float:
    return float(np.median(np.concatenate([_pooled(rounds) for rounds in seeds.values()])))


def _seed_pairs(mine: Seeds, theirs: Seeds) -> list[tuple[float, float]]:
    """The medians of both sides for each seed that both have."""
    return [
        (float(np.median(_pooled(mine[seed]))), float(np.median(_pooled(theirs[seed]))))
        for seed in sorted(mine.keys() & theirs.keys())
    ]
