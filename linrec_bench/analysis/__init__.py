"""Rows -> tables, intervals and verdicts. Nothing here reads a file or imports torch.

After `import linrec_bench`, `linrec_bench.analysis.<module>` needs no further import. The modules, each of
which documents its functions:

    summary                                     one row a case and phase
    headline, findings                          all findings of a run, and the form that they have
    cost_findings, quality_findings             those on time and memory, and on ranking quality
    answer                                      quality kept and break-even of a log, from findings
    scaling, polynomial                         growth with sequence length: timed, and of exact counts
    monomials                                   exact counts as polynomials in B, H, N and d
    growth, growth_forms                        timed growth of every mechanism of a run; forms and their fit
    crossover, shown_order                      which of two costs less at which lengths, and what is shown
    risk                                        how the risk of a false finding is shared
    frontier                                    the longest history, and the largest N x B, that memory holds
    pareto                                      which mechanisms none other beats in quality and cost
    amdahl                                      the share of a step that is attention: what it can save
    memory_kinds                                peak memory part by part
    padding                                     what an event costs at real lengths, beside full batches
    groups                                      quality by length of the history and by group of users
    memorisation                                what is learnt of planted runs, by distance
    time_to_quality, compare_time_to_quality    seconds and joules until a given quality; of two sides
    intervals, seeds                            medians and ratios over processes; quality over seeds
    paired_quality, user_bootstrap              quality of variants, paired by user and seed
    systems                                     whether mechanisms or systems are compared
    compare, compare_sides, comparison          a run or a mechanism against another, and what that found
    case_pairing, compare_verdicts, significance cases compared, their verdicts; Student's t, Holm
    change_points                               since which run a case takes another time
    claim_verdicts, regression, power           claims, accepted ratios, rate of false alarms
    claim_quantities, measurements              what claims are about; from samples, or from a summary alone
    samples_table                               how each case ended, and its samples by round
    naming                                      what a person typed, matched with the data of cases
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    module = f"{__name__}.{name}"
    if name.startswith("_") or find_spec(module) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(module)
