"""Data sets, from their SOURCES: a section each."""

from __future__ import annotations

from linrec_bench import data
from linrec_bench.data.source import Source
from linrec_bench.reference.markdown import code, documentation, joined, prose
from linrec_bench.reference.signature import example, parameter_table


def sections() -> str:
    """A section for each source."""
    sources = sorted(data.registry().values(), key=lambda source: source.name)
    return f"\n{joined(map(_section, sources))}\n"


def _section(source: Source) -> str:
    first, rest = documentation(source.read.__doc__)
    fetched = f"`linrec-bench data fetch {source.name}` downloads it and checks its hash."
    parts = [
        f"## {source.name}\n",
        f"{prose(source.title[:1].upper() + source.title[1:])}.\n",
        f"Licence: {prose(source.licence)}. {fetched if source.remote else ''}".rstrip() + "\n",
        parameter_table(source.parameters),
        f"{prose(first)}\n",
        rest,
        f"In a suite: {code(_in_a_suite(source))}\n",
    ]
    return joined(parts)


def _in_a_suite(source: Source) -> str:
    needed = {name: p for name, p in source.parameters.items() if p.default is p.empty}
    if not needed:
        return f"dataset: {source.name}"
    given = "".join(f", {name}: {example(parameter)}" for name, parameter in needed.items())
    return f"dataset: {{name: {source.name}{given}}}"
