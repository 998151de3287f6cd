"""The figures that `linrec-bench plot` draws."""

from __future__ import annotations

import re
import sys

from linrec_bench.figures import FIGURES, Kind
from linrec_bench.reference.markdown import code, documentation, formula, table

_WHEN_NOT = re.compile(r"[.;](?: raises)? `NothingToDraw`.*")
"""Where a docstring goes on to what the function raises."""


def figures() -> str:
    """Each figure with the tasks whose rows it shows."""
    rows = ((code(name), ", ".join(map(code, kind.tasks)), _shown(kind)) for name, kind in FIGURES.items())
    return "\n" + table(("figure", "tasks", "shows"), rows) + "\n"


def _shown(kind: Kind) -> str:
    """The first sentence of the figure's module, or of the function where the module draws several."""
    module = kind.draw.__module__
    alone = [other.draw.__module__ for other in FIGURES.values()].count(module) == 1
    first = documentation(sys.modules[module].__doc__ if alone else kind.draw.__doc__)[0]
    return formula(_WHEN_NOT.sub("", first).rstrip(".") + ".")
