"""Seconds a call."""

from __future__ import annotations

from collections.abc import Iterator

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import Measurable, MeasureSpec, Reading, Sampling


def readings(workload: Measurable, sampling: Sampling) -> Iterator[Reading]:
    """The first call of the process apart, then every raw sample."""
    from linrec_bench.measures.instruments import timing

    samples = timing.sample(
        workload,
        budget_s=sampling.seconds,
        min_samples=sampling.min,
        max_samples=sampling.max,
        cache=sampling.cache,
    )
    yield Reading("first_call_time", samples.first_call_s, "s")
    for repeat, value in enumerate(samples.seconds):
        yield Reading("time", value, "s", samples.detail, repeat)


SPEC = MeasureSpec(
    name="time",
    title="seconds a call, every raw sample; the first call of the process apart",
    quantities=(
        Quantity("time", "s"),
        Quantity(
            "first_call_time",
            "s",
            "first call of the process, warm-up and compilation included",
            stored_as="first_call_s",
        ),
    ),
    readings=readings,
    order=0,
)
