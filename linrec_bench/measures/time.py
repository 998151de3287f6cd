"""Seconds a call."""

from __future__ import annotations

from collections.abc import Iterator

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import Measurable, MeasureSpec, Reading, Sampling


def readings(workload: Measurable, sampling: Sampling) -> Iterator[Reading]:
    """The first call of the process apart, told as it ends; then every raw sample."""
    from linrec_bench.measures.instruments.timing import Sampler

    sampler = Sampler(workload, cache=sampling.cache, graph=sampling.graph)
    yield Reading("first_call_time", sampler.first_call(), "s")
    samples = sampler.sample(budget_s=sampling.seconds, min_samples=sampling.min, max_samples=sampling.max)
    for repeat, value in enumerate(samples.seconds):
        yield Reading("time", value, "s", samples.detail, repeat)
    for repeat, value in enumerate(samples.host_seconds):
        yield Reading("host_time", value, "s", samples.detail, repeat)
    if samples.host_seconds:
        yield Reading("launch_bound", float(samples.launch_bound), "1")


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
        Quantity(
            "host_time",
            "s",
            "accelerators: until a call returned, while the device works on",
            stored_as="host_time_s",
            summarised="extra",
        ),
        Quantity(
            "launch_bound",
            "1",
            "accelerators: 1 where the device waited for the host to start the kernels of a call",
            summarised="extra",
            whole=True,
        ),
    ),
    readings=readings,
    order=0,
)
