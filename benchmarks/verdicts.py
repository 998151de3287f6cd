"""How often verdicts are right, on planted data of which the truth is known.

    python benchmarks/verdicts.py [--out results/reference/verdicts] [--repetitions 200] [--only NAME]

Each line of the table plants runs of one kind, gives them to the code that states findings (`analysis`), and
counts. Nothing is timed: processes are drawn with a spread of their own, calls inside them with another.
Writes `rates.csv` and `rates.md`; lines that are left out stay as they are stored.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from linrec_bench.analysis.cost_findings import cost_findings
from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.intervals import Array, ratio_interval
from linrec_bench.analysis.power import Line, Side, accepted_ratios, checked, tallies
from linrec_bench.analysis.risk import QUALITY
from linrec_bench.analysis.scaling import fit_scaling
from linrec_bench.analysis.significance import holm
from linrec_bench.analysis.summary import summarise
from linrec_bench.analysis.user_bootstrap import crossed
from linrec_bench.analysis.verdict import Answer
from linrec_bench.case import Case
from linrec_bench.gate.remeasure import looks
from linrec_bench.results.case_table import frame_of
from linrec_bench.results.rows import TRIAL, row_of

LENGTHS = tuple(256 * 2**k for k in range(6))
BETWEEN, WITHIN = 0.03, 0.02
"""Standard deviations of logarithms: between processes, and between the calls of one."""

CALLS = 5
RESAMPLES = 300

Seconds = Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something was stated, of so many repetitions; `wanted` is what must hold of the rate.

    A row has the ends of its Clopper and Pearson interval (95 %) as well.
    """

    what: str
    planted: str
    rounds: int
    wanted: str
    stated: int
    repetitions: int

    @property
    def row(self) -> dict[str, object]:
        ends = stats.binomtest(self.stated, self.repetitions).proportion_ci(method="exact")
        share = self.stated / self.repetitions
        return vars(self) | {"rate": round(share, 4), "low": round(ends.low, 4), "high": round(ends.high, 4)}


Noise = Callable[[int], float]
Draw = Callable[[np.random.Generator, int], bool]

Planted = tuple[str, str | Callable[[int], str], tuple[int, ...], Draw]
"""What is counted, what is wanted of its rate (for each number of rounds or seeds), these numbers, a draw."""


def alike(_: int) -> float:
    return BETWEEN


def times_of(
    mechanisms: dict[str, Seconds],
    rng: np.random.Generator,
    *,
    rounds: int,
    between: Noise = alike,
    slow: float = 0.0,
) -> pd.DataFrame:
    """The summary of a run of these mechanisms, the first of which is the reference. A share `slow` of the
    processes takes 1.3 times as long."""
    summary = summary_of(tuple(mechanisms), rounds)
    reference, found = next(iter(mechanisms)), {}
    for name, n in zip(summary["attention"], summary["seq_len"], strict=True):
        processes = rng.normal(0, between(n), rounds) + np.where(rng.random(rounds) < slow, 0.26, 0)
        calls = processes[:, None] + rng.normal(0, WITHIN, (rounds, CALLS))
        found[name, n] = dict(enumerate(mechanisms[name](n) * np.exp(calls)))
    ratios = [
        None
        if name == reference
        else ratio_interval(
            rounds_of, found[reference, n], resamples=RESAMPLES, seed=int(rng.integers(2**31))
        )
        for (name, n), rounds_of in found.items()
    ]
    columns = {
        f"time_ratio{end}": [1.0 if ratio is None else getattr(ratio, of) for ratio in ratios]
        for end, of in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return summary.assign(**columns)


@cache
def summary_of(mechanisms: tuple[str, ...], rounds: int) -> pd.DataFrame:
    """A summary of as many rounds, whose ratios are drawn anew for each repetition."""
    cases = [
        Case(task="layer", phase="forward", attention=name, seq_len=n) for name in mechanisms for n in LENGTHS
    ]
    rows = [
        row_of(case, run_id="r", suite="planted", measure=measure, value=1.0, unit="s", round=round)
        for case in cases
        for round in range(rounds)
        for measure in ("time", TRIAL)
    ]
    return summarise(frame_of(rows, cases), reference=mechanisms[0])


def orders(summary: pd.DataFrame) -> list[Finding]:
    return [finding for finding in cost_findings(summary, "softmax") if finding.kind == "crossover"]


NAMES = ("linrec", "linrec-column", "linear-transformer", "performer", "based")


def linear(n: int) -> float:
    return 1e-4 + 1e-7 * n


def identical(rng: np.random.Generator, rounds: int, *, between: Noise = alike, slow: float = 0.0) -> bool:
    """Whether a run of six identical mechanisms states any difference."""
    mechanisms = dict.fromkeys(("softmax", *NAMES), linear)
    found = orders(times_of(mechanisms, rng, rounds=rounds, between=between, slow=slow))
    return any(finding.evidence["outcome"] != "none" for finding in found)


def crossing(rng: np.random.Generator, rounds: int) -> bool:
    """Whether N against N^2, which meet at N = 1,500, is told as a crossing there."""
    found = orders(
        times_of({"softmax": lambda n: 1e-9 * n**2, "linrec": lambda n: 1.5e-6 * n}, rng, rounds=rounds)
    )[0]
    if found.evidence["outcome"] != "crosses":
        return False
    assert found.low is not None
    assert found.high is not None
    return found.low <= 1500 <= found.high


def double_crossing(rng: np.random.Generator, rounds: int) -> bool:
    """Whether what is faster in the middle alone is told as two crossings."""
    middle = {512: 0.6, 1024: 0.5, 2048: 0.5, 4096: 0.6}
    mechanisms: dict[str, Seconds] = {
        "softmax": linear,
        "linrec": lambda n: linear(n) * middle.get(n, 1.6),
    }
    found = orders(times_of(mechanisms, rng, rounds=rounds))[0]
    return found.evidence["outcome"] == "several" and found.evidence["changes"] == 2


def faster(rng: np.random.Generator, rounds: int) -> bool:
    """Whether what takes 0.7 of the time everywhere is told to be faster at every length."""
    mechanisms: dict[str, Seconds] = {"softmax": linear, "linrec": lambda n: 0.7 * linear(n)}
    return orders(times_of(mechanisms, rng, rounds=rounds))[0].evidence["outcome"] == "always"


def equal_quality(rng: np.random.Generator, seeds: int, *, of_seed: float = 0.02) -> bool:
    """Whether any of three mechanisms of one quality is stated to differ from the reference: 3,000 users,
    seeds that differ by `of_seed`."""
    p_values = [_difference(rng, seeds, of_seed=of_seed, mean=0.0) for _ in range(3)]
    return any(p < QUALITY for p in holm(p_values))


LOSS = 0.03


def worse_quality(rng: np.random.Generator, seeds: int, *, of_seed: float) -> bool:
    """Whether a loss of `LOSS` is stated where seeds differ by `of_seed`."""
    return _difference(rng, seeds, of_seed=of_seed, mean=-LOSS) < QUALITY


def most_power(seeds: int, *, of_seed: float) -> float:
    """The power of Student's t test against `LOSS`, were there no noise of users.

    It is the most powerful unbiased test of a mean whose variance is unknown (Lehmann and Romano 2005,
    "Testing Statistical Hypotheses", section 5.2), so that no such test on as many seeds states the loss more
    often. Averaged over 10,000 quantiles of the variance that the seeds show.
    """
    if seeds < 2:
        return 0.0
    shown = np.sqrt(stats.chi2.ppf((np.arange(10_000) + 0.5) / 10_000, seeds - 1) / (seeds - 1))
    critical = stats.t.isf(QUALITY / 2, seeds - 1) * shown
    centre = LOSS / (of_seed * np.sqrt(2 / seeds))
    return float(np.mean(stats.norm.cdf(centre - critical) + stats.norm.cdf(-centre - critical)))


def loss(of_seed: float, numbers: tuple[int, ...]) -> Planted:
    """The line of a planted loss of quality, with what can be wanted of each number of seeds."""

    def wanted(seeds: int) -> str:
        most = most_power(seeds, of_seed=of_seed)
        return f">= 0.9; at most {most:.2f} is possible" if most < 0.9 else ">= 0.9"

    def draw(rng: np.random.Generator, seeds: int) -> bool:
        return worse_quality(rng, seeds, of_seed=of_seed)

    return "the loss stated", wanted, numbers, draw


def _difference(rng: np.random.Generator, seeds: int, *, of_seed: float, mean: float) -> float:
    own = rng.normal(mean, of_seed * np.sqrt(2), (seeds, 1)) + rng.normal(0, 0.3, (seeds, 3000))
    return crossed(own, resamples=50).p


def growth(rng: np.random.Generator, rounds: int, function: Seconds, reasons: Sequence[str]) -> bool:
    """Whether the fit to seven lengths says one of these reasons."""
    times = {
        n: [
            function(n) * np.exp(rng.normal(0, BETWEEN) + rng.normal(0, WITHIN, CALLS)) for _ in range(rounds)
        ]
        for n in (256 * 2**k for k in range(7))
    }
    return fit_scaling(times, resamples=50).reason in reasons


POOLS = 4
"""Calibrations with which checks are made in turn."""

_Gated = Answer | Literal["refused"]


def gate_lines(rng: np.random.Generator, rounds: int, *, slower: float = 1.0) -> list[Line]:
    """Rounds of the four ratios that `calibrate` measures by itself."""

    def side(seconds: float) -> dict[int, Array]:
        processes = rng.normal(0, BETWEEN, (rounds, 1)) + rng.normal(0, WITHIN, (rounds, CALLS))
        return dict(enumerate(seconds * np.exp(processes)))

    return [Line(n, side(slower * linear(n)), side(linear(n))) for n in LENGTHS[:4]]


@cache
def calibrated(pool: int, rounds: int) -> float | None:
    """The margin that a calibration of 30 rounds recommends."""
    lines = gate_lines(np.random.default_rng([17, pool]), 30)
    return tallies(lines, looks=looks(rounds), draws=400, effects=(), seed=pool)[0]


def gate(rng: np.random.Generator, rounds: int, *, slower: float = 1.0) -> _Gated:
    """The answer of a timed check whose baseline and margin were made as the gate makes them."""
    margin = calibrated(int(rng.integers(POOLS)), rounds)
    if margin is None:
        return "refused"
    old, new = (
        Side(lines, range(looks(rounds)[-1]), RESAMPLES)
        for lines in (gate_lines(rng, looks(rounds)[-1]), gate_lines(rng, looks(rounds)[-1], slower=slower))
    )
    accepted = accepted_ratios(old, looks(rounds), margin)
    return "refused" if accepted is None else checked(new, accepted, looks(rounds), margin)


def step(n: int) -> float:
    """Linear, and half as much again beyond a cache."""
    return 1e-4 + 1e-7 * n * (1.5 if n > 2048 else 1)


def ends_differ(n: int) -> float:
    return 0.12 if n in (LENGTHS[0], LENGTHS[-1]) else BETWEEN


def gated(answer: _Gated, *, slower: float = 1.0) -> Draw:
    return lambda rng, rounds: gate(rng, rounds, slower=slower) == answer


LINES: dict[str, Planted] = {
    "identical": ("any difference stated", "<= 0.05", (1, 3, 5), identical),
    "identical, noisy ends": (
        "any difference stated",
        "<= 0.05 from 5 rounds on",
        (3, 5),
        lambda rng, rounds: identical(rng, rounds, between=ends_differ),
    ),
    "identical, a tenth of the processes slow": (
        "any difference stated",
        "<= 0.05",
        (3, 5),
        lambda rng, rounds: identical(rng, rounds, slow=0.1),
    ),
    "N against N^2": ("the crossing told, in its interval", ">= 0.9", (3, 5), crossing),
    "faster in the middle": ("two crossings told", ">= 0.9", (5,), double_crossing),
    "0.7 of the time": ("faster at every length", ">= 0.9", (5,), faster),
    "equal quality": ("any difference stated", "<= 0.05", (1, 2, 3, 5), equal_quality),
    "equal quality, seeds differ by 0.01": (
        "any difference stated",
        "<= 0.05",
        (3,),
        lambda rng, seeds: equal_quality(rng, seeds, of_seed=0.01),
    ),
    "0.03 less quality, seeds differ by 0.005": loss(0.005, (1, 2, 3, 5)),
    "0.03 less quality, seeds differ by 0.01": loss(0.01, (3, 5, 6)),
    "0.03 less quality, seeds differ by 0.02": loss(0.02, (3, 5, 14)),
    "0.03 less quality, seeds differ by 0.03": loss(0.03, (3, 5, 28)),
    "N with a cache step": (
        "no single power",
        ">= 0.9",
        (3, 5),
        lambda rng, rounds: growth(rng, rounds, step, ("no_single_power",)),
    ),
    "N log N": (
        "N log N, or no single power",
        ">= 0.9",
        (3, 5),
        lambda rng, rounds: growth(
            rng, rounds, lambda n: 1e-8 * n * float(np.log(n)), ("n_log_n", "no_single_power")
        ),
    ),
    "N + N^2": (
        "no single power",
        ">= 0.9",
        (3, 5),
        lambda rng, rounds: growth(rng, rounds, lambda n: 1e-7 * n + 1e-11 * n**2, ("no_single_power",)),
    ),
    "floor + N": (
        "no single power",
        "<= 0.05",
        (3, 5),
        lambda rng, rounds: growth(rng, rounds, linear, ("no_single_power", "n_log_n")),
    ),
    "timed gate, unchanged": ("holds", ">= 0.9", (5,), gated("holds")),
    "timed gate, same code": ("broken", "<= 0.01", (5,), gated("broken")),
    "timed gate, 1.3 x slower": ("broken", ">= 0.9", (5,), gated("broken", slower=1.3)),
    "timed gate, baseline": ("refused", "<= 0.1", (5,), gated("refused")),
}
"""By what is planted."""


def rates(repetitions: int, *, only: str = "", seed: int = 0) -> list[Rate]:
    found = []
    for planted, (what, wanted, numbers, draw) in LINES.items():
        for rounds in numbers if only in planted else ():
            rng = np.random.default_rng([seed, rounds, *planted.encode()])
            stated = sum(draw(rng, rounds) for _ in range(repetitions))
            found.append(
                Rate(
                    what=what,
                    planted=planted,
                    rounds=rounds,
                    wanted=wanted(rounds) if callable(wanted) else wanted,
                    stated=stated,
                    repetitions=repetitions,
                )
            )
    return found


def markdown(table: pd.DataFrame) -> str:
    names = ("planted", "rounds or seeds", "counted", "wanted", "rate [95 %]", "repetitions")
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|\n"
    return head + "".join(
        f"| {row.planted} | {row.rounds} | {row.what} | {row.wanted} "
        f"| {row.rate:.3f} [{row.low:.3f}, {row.high:.3f}] | {row.repetitions} |\n"
        for row in table.itertuples()
    )


def merged(stored: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """What was found, and the lines stored before that were not asked again, in the order of `LINES`."""
    both = pd.concat([stored, found]).drop_duplicates(["planted", "rounds"], keep="last")
    both = both[both["planted"].isin(LINES)]
    order = both["planted"].map(list(LINES).index)
    return both.assign(order=order).sort_values(["order", "rounds"]).drop(columns="order")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/reference/verdicts"))
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    stored = chosen.out / "rates.csv"
    found = pd.DataFrame([rate.row for rate in rates(chosen.repetitions, only=chosen.only)])
    table = merged(pd.read_csv(stored), found) if stored.exists() else found
    table.to_csv(chosen.out / "rates.csv", index=False)
    (chosen.out / "rates.md").write_text(markdown(table), encoding="utf-8")
    print(markdown(table))


if __name__ == "__main__":
    main()
