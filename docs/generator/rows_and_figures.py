"""Tables of measures, of the columns of samples.csv and summary.csv, and of the figures that `plot` draws."""

from __future__ import annotations

from collections.abc import Mapping

from docs.generator.markdown import code, formula, prose, table
from linrec_bench import measures as registered
from linrec_bench.analysis.summary import COLUMNS, EXTRAS, PER_TOKEN
from linrec_bench.analysis.time_to_quality import COLUMNS as MATCHED
from linrec_bench.declarations import Quantity
from linrec_bench.figures import FIGURES
from linrec_bench.results.load_results import SAMPLE_COLUMNS


def samples() -> str:
    """Every column of samples.csv."""
    return _columns(SAMPLE_COLUMNS)


def summary() -> str:
    """Every column of summary.csv but the test metrics: those that are always there, then the others."""
    extras = {name: quantity.meaning for name, quantity in EXTRAS.items()} | dict([PER_TOKEN])
    of_runs = {name: f"{meaning}; only where a run has it" for name, meaning in extras.items()}
    of_trainings = {name: f"{meaning}; only of trainings" for name, meaning in MATCHED.items()}
    return _columns(COLUMNS | of_runs | of_trainings)


def measures() -> str:
    """Each name that `measures:` takes, with its rows and their units."""

    def row(quantity: Quantity) -> str:
        return code(quantity.measure) + ("" if quantity.unit == "1" else f" {quantity.unit}")

    return table(
        ("in `measures:`", "what is measured", "rows and their units"),
        (
            (code(name), prose(spec.title), "<br>".join(map(row, spec.quantities)))
            for name, spec in registered.registry().items()
        ),
    )


def figures() -> str:
    """Each figure with the tasks whose rows it shows."""
    rows = (
        (code(name), ", ".join(map(code, spec.tasks)), formula(spec.caption))
        for name, spec in FIGURES.items()
    )
    return table(("figure", "tasks", "shows"), rows)


def _columns(meanings: Mapping[str, str]) -> str:
    return table(("column", "meaning"), ((code(name), prose(text)) for name, text in meanings.items()))
