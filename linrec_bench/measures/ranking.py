"""Quality of a ranking, which a task that ranks reports by itself."""

from __future__ import annotations

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import MeasureSpec

SPEC = MeasureSpec(
    name="ranking",
    title="quality of the ranked catalogue on the test queries, at the suite's cut-offs k",
    quantities=tuple(Quantity(f"{metric}@k", "1") for metric in ("recall", "ndcg", "mrr")),
    order=60,
)
