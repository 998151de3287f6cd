"""Mechanisms, from their SPECs and the docstrings of their files: a table of all, and a page each."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Set
from functools import partial

import torch

from linrec_bench import attention
from linrec_bench.attention.spec import Spec
from linrec_bench.reference.markdown import code, documentation, formula, joined, linked, prose, table
from linrec_bench.reference.signature import example, parameter_table

FOLDER = "mechanisms"

_OWN = "linrec_bench.attention."

_PAGE_LINK = re.compile(r"(?<!\[)`([a-z0-9]+(?:[_-][a-z0-9]+)*)`(?!\])")
"""A name in backticks that may be that of a mechanism, or of its module."""


def specs() -> list[Spec]:
    """The mechanisms of this package, by name; those of plugins and other packages are left out."""
    found = attention.registry().values()
    return sorted((s for s in found if s.core.__module__.startswith(_OWN)), key=lambda spec: spec.name)


def table_of_all() -> str:
    """One row a mechanism; deviations as a count that links to them."""
    return (
        "\n"
        + table(
            (
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
            ),
            (_row(spec) for spec in specs()),
        )
        + "\n"
    )


def pages() -> dict[str, str]:
    """File name -> Markdown, for each mechanism."""
    return {f"{spec.name}.md": _page(spec) for spec in specs()}


def navigation() -> str:
    """The entries of the pages in mkdocs.yml."""
    return "".join(f"      - {spec.name}: {FOLDER}/{spec.name}.md\n" for spec in specs())


def growth(exponent: float) -> str:
    """`1`, `N`, `N^2`, with a raised exponent."""
    if exponent in (0, 1):
        return "N" if exponent else "1"
    return f"N<sup>{exponent:g}</sup>"


def _row(spec: Spec) -> tuple[str, ...]:
    settings = [f"{name}={p.default}" for name, p in spec.parameters.items()]
    return (
        f"[{spec.name}]({spec.name}.md)<br>{prose(spec.title)}",
        code(spec.formula),
        growth(spec.time_exponent),
        growth(spec.memory_exponent),
        formula(spec.complexity) or "not declared",
        "both" if spec.causal and spec.bidirectional else f"{_directions(spec)} only",
        formula(spec.decode_state) or "none",
        "<br>".join(map(code, settings)) or "none",
        linked(spec.source).replace("[github.com/", "["),
        f"[{len(spec.deviations)}]({spec.name}.md#deviations)" if spec.deviations else "none",
    )


def _page(spec: Spec) -> str:
    first, rest = documentation(sys.modules[spec.core.__module__].__doc__)
    parts = [
        f"# {prose(spec.title)}\n",
        f"{prose(first)}\n",
        f"``` {{ .text .formula }}\n{spec.formula}\n```\n",
        table(("", ""), _facts(spec)),
        _in_a_suite(spec),
        "## What it computes\n",
        rest or "The formula above.\n",
        "## Deviations\n",
        _deviations(spec),
    ]
    return _PAGE_LINK.sub(partial(_page_link, {s.name for s in specs()} - {spec.name}), joined(parts))


def _facts(spec: Spec) -> Iterator[tuple[str, str]]:
    yield "Paper", linked(spec.paper)
    yield "Source", linked(spec.source)
    yield "Directions", _directions(spec)
    yield "Padding mask", "honoured" if spec.honours_padding else "refused: a row `unsupported`"
    yield "Order of the events", _order(spec)
    yield "Time", f"{growth(spec.time_exponent)}{': ' + formula(spec.complexity) if spec.complexity else ''}"
    yield "Peak memory", growth(spec.memory_exponent)
    if spec.init_state is not None:
        yield "Decode state", f"{formula(spec.decode_state)}; {_state_growth(spec.state_exponent)}"
    else:
        yield "Decode state", "none: it cannot decode event by event"
    if spec.companion is not None:
        yield "Beside q, k and v", _companion(spec)
    if spec.layer is not None:
        yield "Layer", f"its own, {code(getattr(spec.layer, '__name__', 'layer'))}: {_summary(spec.layer)}"
    else:
        yield "Layer", "projections of q, k, v and of the output around the core"
    if spec.timestamps:
        yield "Timestamps", "the layer takes them"
    if spec.refusal is not None and spec.refusal("cpu", torch.float64, backward=True) is not None:
        yield "Runs on", "some devices and data types only; elsewhere a row `unsupported` with the reason"
    yield "File", code(f"{spec.core.__module__.replace('.', '/')}.py")


def _state_growth(exponent: float) -> str:
    return f"grows as {growth(exponent)}" if exponent else "does not grow with N"


def _order(spec: Spec) -> str:
    if not spec.permutation_equivariant:
        return "matters to the core itself"
    if not spec.bidirectional:
        return "matters through causality and decays"
    return "does not matter to the bidirectional core; a model adds positions"


def _page_link(others: Set[str], found: re.Match[str]) -> str:
    name = found[1].replace("_", "-")
    return f"[`{found[1]}`]({name}.md)" if name in others else found[0]


def _directions(spec: Spec) -> str:
    both = {"bidirectional": spec.bidirectional, "causal": spec.causal}
    return ", ".join(name for name, there in both.items() if there)


def _companion(spec: Spec) -> str:
    made = f"{code(getattr(spec.companion, '__name__', 'companion'))} makes what the core takes beside them"
    tokens = ", ".join(map(code, spec.tokens))
    return f"{made}: {_summary(spec.companion)}" + (f" For each token: {tokens}." if tokens else "")


def _summary(documented: object) -> str:
    """The first sentence of a docstring of the package's own, as prose."""
    return prose(documentation(getattr(documented, "__doc__", None))[0])


def _in_a_suite(spec: Spec) -> str:
    if not spec.parameters:
        return f"In a suite: {code(f'attention: [{spec.name}]')}. It has no parameters.\n"
    name, parameter = next(iter(spec.parameters.items()))
    with_one = code(f"attention: [{{name: {spec.name}, {name}: {example(parameter)}}}]")
    plain = code(f"attention: [{spec.name}]")
    return f"In a suite: {plain}, or with a parameter {with_one}.\n\n{parameter_table(spec.parameters)}"


def _deviations(spec: Spec) -> str:
    if not spec.deviations:
        return "None.\n"
    lines = "".join(f"- {prose(line)}\n" for line in spec.deviations)
    return f"Where this code differs from the paper or the upstream code:\n\n{lines}"
