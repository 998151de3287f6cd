"""Rows -> tables, intervals and verdicts. Nothing here reads a file or imports torch.

After `import linrec_bench`, `linrec_bench.analysis.<module>` needs no further import. The modules, each of
which documents its functions:

    summary, headline                   one row a case and phase; the findings in sentences
    scaling, polynomial                 growth with sequence length: timed, and of exact counts
    monomials                           exact counts as polynomials in B, H, N and d
    growth                              the timed growth of every mechanism of a run
    crossover                           the length from which one mechanism costs less than another
    frontier                            the longest history, and the largest N x B, that memory holds
    pareto                              which mechanisms none other beats in quality and cost
    amdahl                              the share of a step that is attention, and what it can save at most
    memory_kinds                        peak memory part by part
    padding                             what an event costs at real lengths, beside full batches
    groups                              quality by length of the history and by group of users
    memorisation                        what is learnt of planted runs, by distance
    matched, reached                    seconds and joules of training until a given quality; of two sides
    intervals, seeds                    medians and ratios over processes; quality over seeds
    quality, user_bootstrap             quality of variants against each other, paired by user and seed
    systems, ranking                    whether mechanisms or whole systems are compared; these, ranked
    compare, comparison                 a run or a mechanism against another, and what that found
    matching, judging, significance     which cases are compared, which verdict they get; Student's t, Holm
    verdicts, regression, power         claims, accepted ratios, and how often a gate would cry wolf
    quantities, restored                what claims are about, found in samples, or in a summary alone
    trials                              how each case ended, and its samples by round
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    module = f"{__name__}.{name}"
    if name.startswith("_") or find_spec(module) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(module)
