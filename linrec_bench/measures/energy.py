"""Energy a call, and the state of the device while it ran."""

from __future__ import annotations

from collections.abc import Iterable

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import Measurable, MeasureSpec, Reading, Sampling


def readings(workload: Measurable, _: Sampling) -> Iterable[Reading]:
    """From NVML; nothing on another device."""
    from linrec_bench.measures.instruments import energy_meter

    return energy_meter.readings(workload)


SPEC = MeasureSpec(
    name="energy",
    title="energy a call with clocks, temperature and throttling, from NVML; nothing elsewhere",
    quantities=(
        Quantity("energy", "J", "energy of one call", stored_as="energy_j"),
        Quantity("power", "W"),
        Quantity("sm_clock", "MHz"),
        Quantity("memory_clock", "MHz"),
        Quantity("temperature", "degC"),
        Quantity("throttled", "1"),
    ),
    readings=readings,
    order=40,
)
