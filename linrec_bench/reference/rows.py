"""The columns of samples.csv and summary.csv, and the measures that a suite can ask for."""

from __future__ import annotations

from collections.abc import Mapping

from linrec_bench.analysis.summary import COLUMNS, EXTRAS, PER_TOKEN
from linrec_bench.analysis.time_to_quality import COLUMNS as MATCHED
from linrec_bench.measures import MEASURES
from linrec_bench.reference.markdown import code, prose, table
from linrec_bench.results.load_results import SAMPLE_COLUMNS


def samples() -> str:
    """Every column of samples.csv."""
    return _columns(SAMPLE_COLUMNS)


def summary() -> str:
    """Every column of summary.csv but the test metrics: those that are always there, then the others."""
    found = {name: meaning for name, (_, _, meaning) in EXTRAS.items()} | dict([PER_TOKEN])
    extras = {name: f"{meaning}; only where a run has it" for name, meaning in found.items()}
    matched = {name: f"{meaning}; only of trainings" for name, meaning in MATCHED.items()}
    return _columns(COLUMNS | extras | matched)


def measures() -> str:
    """Each word of `measures:` with the rows that it leaves and their units."""
    return (
        "\n"
        + table(
            ("in `measures:`", "what is measured", "rows and their units"),
            (
                (
                    code(name),
                    prose(measure.title),
                    "<br>".join(f"{code(row)}{_unit(u)}" for row, u in measure.rows.items()),
                )
                for name, measure in MEASURES.items()
            ),
        )
        + "\n"
    )


def _columns(meanings: Mapping[str, str]) -> str:
    rows = ((code(name), prose(meaning)) for name, meaning in meanings.items())
    return "\n" + table(("column", "meaning"), rows) + "\n"


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"
