"""All findings of a run, from its summary alone, in the order in which they are told."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis import memorisation, paired_quality
from linrec_bench.analysis.cost_findings import cost_findings
from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.quality_findings import memorisation_findings, quality_findings
from linrec_bench.declarations import trainings


def findings(summary: pd.DataFrame, reference: str, differences: pd.DataFrame | None = None) -> list[Finding]:
    """Overtaking lengths, ratios of memory, what no longer runs, then quality.

    Costs and the quality of variants are relative to `reference` (a label, or a name); where systems are
    compared (`analysis.systems`), they are ranked. The order is that of tasks, bidirectional before causal,
    and names (of quality, the reference first): it does not depend on that of the rows. `differences` are
    those of quality, paired by user and seed (`paired_quality.differences` of the run).
    """
    planted = memorisation.planted(summary)
    ranked = summary[summary["task"].isin(trainings()) & ~planted]
    pairs = pd.DataFrame(columns=list(paired_quality.COLUMNS)) if differences is None else differences
    return [
        *cost_findings(summary, reference),
        *quality_findings(ranked, reference, pairs),
        *memorisation_findings(summary),
    ]
