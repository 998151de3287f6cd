"""Which number: one file a measure, found by its SPEC; what they are taken with is in `instruments`.

Nothing here imports torch before something is measured: the command line lists the measures, and the analysis
reads their units and columns.
"""

from __future__ import annotations

from functools import cache

from linrec_bench.measures.spec import Measurable, MeasureSpec, Reading
from linrec_bench.registry import Registry, specs_in

__all__ = ["Measurable", "MeasureSpec", "Reading", "registry"]


@cache
def registry() -> Registry[MeasureSpec]:
    """Every measure by name, in the order in which they are taken."""
    specs = sorted(specs_in(__name__, MeasureSpec), key=lambda spec: spec.order)
    return Registry("measure", [(spec.name, spec) for spec in specs])
