"""How much of a call is spent in the mechanism."""

from __future__ import annotations

from collections.abc import Iterator

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import Measurable, MeasureSpec, Reading, Sampling


def readings(workload: Measurable, _: Sampling) -> Iterator[Reading]:
    """One share for each of a few warm calls; nothing where the workload is the mechanism alone."""
    from linrec_bench.measures.instruments import timing

    for repeat, share in enumerate(timing.attention_share(workload)):
        yield Reading("attention_share", share, "1", repeat=repeat)


SPEC = MeasureSpec(
    name="attention_share",
    title="share of a call spent inside the attention mechanism",
    quantities=(Quantity("attention_share", "1", "share of the time that is spent in the mechanism"),),
    readings=readings,
    order=30,
)
