"""Mechanisms, from their SPECs and the docstrings of their files: a table of all, and a page each."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import torch

from docs.generator.markdown import (
    code,
    documentation,
    example,
    formula,
    joined,
    linked,
    parameter_table,
    prose,
    table,
)
from linrec_bench import attention
from linrec_bench.attention.spec import Request, Spec

FOLDER = "mechanisms"

_COLUMNS = (
    "mechanism",
    "formula",
    "time",
    "memory",
    "operations, forward",
    "directions",
    "decode state",
    "parameters",
    "source",
    "deviations",
)


def specs() -> list[Spec]:
    """The mechanisms of this package, by name; those of plugins and other packages are left out."""
    registered = attention.registry().values()
    shipped = [spec for spec in registered if spec.core.__module__.startswith("linrec_bench.attention.")]
    return sorted(shipped, key=lambda spec: spec.name)


def overview() -> str:
    """One row a mechanism; deviations as a count that links to them."""
    return table(_COLUMNS, map(_row, specs()))


def pages() -> dict[str, str]:
    """File name -> Markdown, for each mechanism."""
    return {f"{spec.name}.md": _page(spec) for spec in specs()}


def navigation() -> str:
    """The entries of the pages in mkdocs.yml."""
    return "".join(f"      - {spec.name}: {FOLDER}/{spec.name}.md\n" for spec in specs())


def _row(spec: Spec) -> tuple[str, ...]:
    settings = [f"{name}={p.default}" for name, p in spec.parameters.items()]
    return (
        f"[{spec.name}]({spec.name}.md)<br>{prose(spec.title)}",
        code(spec.formula),
        _growth(spec.time_exponent),
        _growth(spec.memory_exponent),
        formula(spec.complexity) or "not declared",
        "both" if spec.causal and spec.bidirectional else f"{_directions(spec)} only",
        formula(spec.decode_state) or "none",
        "<br>".join(map(code, settings)) or "none",
        linked(spec.source).replace("[github.com/", "["),
        f"[{len(spec.deviations)}]({spec.name}.md#deviations)" if spec.deviations else "none",
    )


def _page(spec: Spec) -> str:
    first, rest = documentation(sys.modules[spec.core.__module__].__doc__)
    deviations = "\n".join(f"- {prose(line)}" for line in spec.deviations)
    page = joined(
        [
            f"# {prose(spec.title)}",
            prose(first),
            f"``` {{ .text .formula }}\n{spec.formula}\n```",
            table(("", ""), _properties(spec)),
            _in_a_suite(spec),
            parameter_table(spec.parameters),
            "## What it computes",
            rest or "The formula above.",
            "## Deviations",
            "Where this code differs from the paper or the upstream code:" if deviations else "None.",
            deviations,
        ]
    )
    others = {other.name for other in specs()} - {spec.name}

    def link(match: re.Match[str]) -> str:
        name = match[1].replace("_", "-")
        return f"[`{match[1]}`]({name}.md)" if name in others else match[0]

    # A name in backticks that is that of a mechanism, or of its module.
    return re.sub(r"(?<!\[)`([a-z0-9]+(?:[_-][a-z0-9]+)*)`(?!\])", link, page).strip() + "\n"


def _properties(spec: Spec) -> Iterator[tuple[str, str]]:
    operations = f": {formula(spec.complexity)}" if spec.complexity else ""
    yield "Paper", linked(spec.paper)
    yield "Source", linked(spec.source)
    yield "Directions", _directions(spec)
    yield "Padding mask", "honoured" if spec.honours_padding else "refused: a row `unsupported`"
    yield "Order of the events", _order(spec)
    yield "Time", _growth(spec.time_exponent) + operations
    yield "Peak memory", _growth(spec.memory_exponent)
    if spec.init_state is None:
        yield "Decode state", "none: it cannot decode event by event"
    else:
        exponent = spec.state_exponent
        growth = f"grows as {_growth(exponent)}" if exponent else "does not grow with N"
        yield "Decode state", f"{formula(spec.decode_state)}; {growth}"
    if spec.gate_module is not None:
        tokens = f" For each token: {', '.join(map(code, spec.tokens))}." if spec.tokens else ""
        yield "Further inputs", f"made by {_name_and_summary(spec.gate_module)}{tokens}"
    if spec.layer is not None:
        yield "Layer", _name_and_summary(spec.layer)
    else:
        yield "Layer", "projections of q, k, v and of the output around the core"
    if spec.timestamps:
        yield "Timestamps", "an input of the layer"
    if spec.refusal is not None and spec.refusal(Request("cpu", torch.float64, backward=True)) is not None:
        yield "Runs on", "some devices and data types only; elsewhere a row `unsupported` with the reason"
    if spec.backends:
        yield "Backends", f"besides plain torch: {', '.join(map(code, spec.backends))}"
    yield "File", code(f"{spec.core.__module__.replace('.', '/')}.py")


def _growth(exponent: float) -> str:
    """`1`, `N` or N with a raised exponent."""
    if exponent in (0, 1):
        return "N" if exponent else "1"
    return f"N<sup>{exponent:g}</sup>"


def _order(spec: Spec) -> str:
    if not spec.permutation_equivariant:
        return "matters to the core itself"
    if not spec.bidirectional:
        return "matters through causality and decays"
    return "does not matter to the bidirectional core; a model adds positions"


def _directions(spec: Spec) -> str:
    both = {"bidirectional": spec.bidirectional, "causal": spec.causal}
    return ", ".join(name for name, supported in both.items() if supported)


def _name_and_summary(documented: object) -> str:
    """The name of a class or function and the first sentence of its docstring."""
    name = code(getattr(documented, "__name__", type(documented).__name__))
    return f"{name}: {prose(documentation(documented.__doc__)[0])}"


def _in_a_suite(spec: Spec) -> str:
    plain = code(f"attention: [{spec.name}]")
    for name, parameter in spec.parameters.items():
        with_one = code(f"attention: [{{name: {spec.name}, {name}: {example(parameter)}}}]")
        return f"In a suite: {plain}, or with a parameter {with_one}."
    return f"In a suite: {plain}. It has no parameters."
