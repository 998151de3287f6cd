"""What `linrec-bench list` tells: every registry as plain records."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path

from linrec_bench.registry import Registry

Record = dict[str, str]


def entry(entries: Sequence[Record], name: str, *, kind: str) -> Record:
    """The entry of this name; `UnknownName` with near misses if there is none."""
    return Registry(kind, [(each["name"], each) for each in entries])[name]


def entries(kind: str, *, plugins: Sequence[Path] = ()) -> list[Record]:
    """The entries of one kind, each with its name and what a person needs to choose among them; with the
    mechanisms of plugins."""
    if plugins:
        from linrec_bench import attention

        for plugin in plugins:
            attention.load_plugin(plugin)
    make = {
        "attention": _attention,
        "models": _models,
        "data": _data,
        "suites": _suites,
        "measures": _measures,
    }[kind]
    # Mechanisms of other packages may change without notice.
    others = entry_points(group="linrec_bench.attention")
    if kind not in ("attention", "models") or "torch" in sys.modules or others:
        return make()
    # Files of mechanisms and models import torch, which takes longer than all else.
    from linrec_bench.results.kept import kept

    return kept(f"catalogue-{kind}", make)


def _attention() -> list[Record]:
    from linrec_bench import attention

    return [
        {
            "name": spec.name,
            "title": spec.title,
            "time": _power(spec.time_exponent),
            "memory": _power(spec.memory_exponent),
            "causal": "yes" if spec.causal else "no",
            "parameters": ", ".join(spec.parameters) or "-",
            "paper": spec.paper,
        }
        for spec in attention.registry().values()
    ]


def _power(exponent: float) -> str:
    if exponent in (0, 1):
        return "N" if exponent else "1"
    return f"N^{exponent:g}"


def _models() -> list[Record]:
    from linrec_bench import models
    from linrec_bench.case import Case

    # What a sweep sets is no parameter of the model to who writes a suite.
    axes = {field.name for field in fields(Case)}
    return [
        {
            "name": spec.name,
            "title": spec.title,
            "parameters": ", ".join(name for name in spec.parameters if name not in axes) or "-",
            "paper": spec.paper,
        }
        for spec in models.registry().values()
    ]


def _data() -> list[Record]:
    from linrec_bench import data

    return [
        {
            "name": source.name,
            "title": source.title,
            "download": _download(source.remote is not None, data.is_available(source.name)),
            "parameters": ", ".join(source.parameters) or "-",
        }
        for source in data.registry().values()
    ]


def _download(exists: bool, is_available: bool) -> str:
    return ("here" if is_available else "not here") if exists else "-"


def _suites() -> list[Record]:
    from linrec_bench.suite.shipped import shipped_suites

    return [
        {"name": name, "title": _title(path.read_text(encoding="utf-8")), "file": str(path)}
        for name, path in shipped_suites().items()
    ]


def _title(suite: str) -> str:
    """The `title` of a suite, a line of its own; reading all of every file takes half a second."""
    from linrec_bench.suite import strict_yaml

    line = re.search(r"^title:.*$", suite, re.MULTILINE)
    return str(strict_yaml.read(line.group())[1]["title"]) if line else ""


def _measures() -> list[Record]:
    from linrec_bench import measures

    return [
        {
            "name": name,
            "rows": ", ".join(quantity.measure for quantity in spec.quantities),
            "title": spec.title,
        }
        for name, spec in measures.registry().items()
    ]
