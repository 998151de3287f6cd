"""Models and data sets, from their SPECs and docstrings: a section each."""

from __future__ import annotations

import sys
from dataclasses import fields

from docs.generator.markdown import (
    code,
    documentation,
    example,
    joined,
    linked,
    parameter_table,
    prose,
    table,
)
from linrec_bench import data, models
from linrec_bench.case import Case
from linrec_bench.data.source import Source
from linrec_bench.models.spec import ModelSpec


def models_sections() -> str:
    """A table of all models, then a section each."""
    specs = sorted(models.registry().values(), key=lambda spec: spec.name)
    overview = table(
        ("model", "what it is", "paper"),
        ((f"[{s.name}](#{s.name})", prose(s.title), linked(s.paper)) for s in specs),
    )
    return joined([overview, *map(_model, specs)])


def data_sections() -> str:
    """A section for each source of sequences."""
    return joined(map(_source, sorted(data.registry().values(), key=lambda source: source.name)))


def _model(spec: ModelSpec) -> str:
    first, rest = documentation(sys.modules[spec.build.__module__].__doc__)
    # Axes of the grid are set by the sweep, not as parameters of the model.
    axes = {field.name for field in fields(Case)}
    parameters = {name: p for name, p in spec.parameters.items() if name not in axes}
    from_sweep = ", ".join(code(name) for name in spec.parameters if name in axes)
    return joined(
        [
            f"## {spec.name}",
            prose(first),
            rest,
            _traits(spec),
            "### Parameters",
            parameter_table(parameters) or "None.",
            f"Set by the sweep, in `grid`, `fixed` or `attention`: {from_sweep}." if from_sweep else "",
            "### Deviations",
            "\n".join(f"- {prose(line)}" for line in spec.deviations) or "None.",
        ]
    )


def _traits(spec: ModelSpec) -> str:
    """Its mechanisms, its training objectives, and whether it decodes event by event."""
    if not spec.trained_by_gradient:
        return "Counts instead of learning; the `attention` of a suite does not affect it."
    mechanisms = " or ".join(code(name) for name in spec.mechanisms) or "any"
    return (
        f"Mechanism: {mechanisms}. Objectives: {', '.join(map(code, spec.objectives))}. "
        f"Decodes event by event: {'yes, where it is causal' if spec.streams else 'no'}."
    )


def _source(source: Source) -> str:
    first, rest = documentation(source.read.__doc__)
    download = f" `linrec-bench data fetch {source.name}` downloads it and checks its hash."
    required = {name: p for name, p in source.parameters.items() if p.default is p.empty}
    values = "".join(f", {name}: {example(parameter)}" for name, parameter in required.items())
    entry = f"{{name: {source.name}{values}}}" if required else source.name
    return joined(
        [
            f"## {source.name}",
            f"{prose(source.title[:1].upper() + source.title[1:])}.",
            f"Licence: {prose(source.licence)}.{download if source.remote else ''}",
            parameter_table(source.parameters),
            prose(first),
            rest,
            f"In a suite: {code(f'dataset: {entry}')}",
        ]
    )
