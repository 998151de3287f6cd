"""Models, from their SPECs and the docstrings of their files: a section each."""

from __future__ import annotations

import sys
from dataclasses import fields

from linrec_bench import models
from linrec_bench.case import Case
from linrec_bench.models.spec import ModelSpec
from linrec_bench.reference.markdown import code, documentation, joined, linked, prose, table
from linrec_bench.reference.signature import parameter_table


def sections() -> str:
    """A table of all models, then a section each."""
    specs = sorted(models.registry().values(), key=lambda spec: spec.name)
    overview = table(
        ("model", "what it is", "paper"),
        ((f"[{s.name}](#{s.name})", prose(s.title), linked(s.paper)) for s in specs),
    )
    return f"\n{joined([overview, *map(_section, specs)])}\n"


def _section(spec: ModelSpec) -> str:
    first, rest = documentation(sys.modules[spec.build.__module__].__doc__)
    # What a sweep sets is no parameter of the model to who writes a suite.
    axes = {field.name for field in fields(Case)}
    own = {name: p for name, p in spec.parameters.items() if name not in axes}
    from_sweep = ", ".join(code(name) for name in spec.parameters if name in axes)
    parts = [
        f"## {spec.name}\n",
        f"{prose(first)}\n",
        rest,
        f"{_traits(spec)}\n",
        "### Parameters\n",
        parameter_table(own) or "None of its own.\n",
        f"Set by the sweep, in `grid`, `fixed` or `attention`: {from_sweep}.\n" if from_sweep else "",
        "### Deviations\n",
        "".join(f"- {prose(line)}\n" for line in spec.deviations) or "None.\n",
    ]
    return joined(parts)


def _traits(spec: ModelSpec) -> str:
    """What it mixes with, how it is trained, and whether it takes one event after another."""
    if not spec.trained_by_gradient:
        return "Counts instead of learning; a sweep's `attention` does not touch it."
    mechanisms = " or ".join(code(name) for name in spec.mechanisms) or "any"
    streams = "yes, where it is causal" if spec.streams else "no"
    return (
        f"Mechanism: {mechanisms}. Objectives: {', '.join(map(code, spec.objectives))}. "
        f"Takes one event after another: {streams}."
    )
