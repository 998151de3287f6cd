"""Floating-point operations, counted before anything runs."""

from __future__ import annotations

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import MeasureSpec

SPEC = MeasureSpec(
    name="flops",
    title="exact floating-point operations of matrix products, attention kernels included; `operations` "
    "adds one for each element that anything else touches",
    quantities=(
        Quantity(
            "flops",
            "FLOP",
            "exact floating-point operations of one call, one multiply-add = 2",
            summarised="count",
            whole=True,
        ),
        Quantity("operations", "FLOP"),
    ),
    counted=(("flops", "flops"), ("operations", "operations")),
    order=20,
)
