"""linrec-bench: what attention costs on long user histories, and what quality it buys.

Importing the package imports neither torch nor pandas; the rooms that need them do, and so do the names below
when they are first used. For a notebook:

    load_results        stored rows as a pandas.DataFrame
    summarise           raw samples -> one row a case and phase: medians, intervals, ratios
    crossover           the length from which one mechanism costs less than another
    findings            the findings of a summary as data: kind, subject, reference, value, interval, where
    headline            the same in sentences
    across_seeds        quality of each variant: mean and interval over seeds
    fit_scaling         t = a + b N^p through times at several lengths, with an interval of p
    exact_exponent      the growth of exact counts
    median_interval     the median over processes with its bootstrap interval
    ratio_interval      the ratio of two cases, paired by round, with its bootstrap interval
    compare_runs        a run against another: ratios, verdicts, what is missing
    compare_mechanisms  a mechanism against another within a run
    holm                p-values corrected over a family of tests

The rest of the analysis is in `linrec_bench.analysis`, whose modules are imported on first use too.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from linrec_bench import analysis
    from linrec_bench.analysis.compare import compare_mechanisms, compare_runs
    from linrec_bench.analysis.crossover import crossover
    from linrec_bench.analysis.headline import findings
    from linrec_bench.analysis.intervals import median_interval, ratio_interval
    from linrec_bench.analysis.scaling import exact_exponent, fit_scaling
    from linrec_bench.analysis.seeds import across_seeds
    from linrec_bench.analysis.significance import holm
    from linrec_bench.analysis.summary import summarise
    from linrec_bench.presentation.sentences import headline
    from linrec_bench.results.load_results import load_results

_HOME = {
    "load_results": "results.load_results",
    "summarise": "analysis.summary",
    "crossover": "analysis.crossover",
    "findings": "analysis.headline",
    "headline": "presentation.sentences",
    "across_seeds": "analysis.seeds",
    "fit_scaling": "analysis.scaling",
    "exact_exponent": "analysis.scaling",
    "median_interval": "analysis.intervals",
    "ratio_interval": "analysis.intervals",
    "compare_runs": "analysis.compare",
    "compare_mechanisms": "analysis.compare",
    "holm": "analysis.significance",
}
"""Public name -> module that defines it. A name must not be that of a module of this package."""

__all__ = [
    "across_seeds",
    "analysis",
    "compare_mechanisms",
    "compare_runs",
    "crossover",
    "exact_exponent",
    "findings",
    "fit_scaling",
    "headline",
    "holm",
    "load_results",
    "median_interval",
    "ratio_interval",
    "summarise",
]


def __getattr__(name: str) -> object:
    if name == "analysis":
        return import_module(f"{__name__}.analysis")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
