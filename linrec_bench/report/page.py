"""Runs -> one self-contained HTML page: no network, no file beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2

import linrec_bench
from linrec_bench.analysis.headline import findings
from linrec_bench.presentation.sentences import sentences
from linrec_bench.report import environment_view, svg_markers
from linrec_bench.report.cards import cards_table, contradictions
from linrec_bench.report.charts import Chart
from linrec_bench.report.cost_charts import Shape, cost_shapes
from linrec_bench.report.expectations import expectations, paper_claims
from linrec_bench.report.frames import cost_parts, outcome
from linrec_bench.report.ledger import counted, ledger_table
from linrec_bench.report.quality_charts import compared_names, quality_charts
from linrec_bench.report.sources import Source
from linrec_bench.report.table import Table
from linrec_bench.report.tables import cost_tables, frontier_table, quality_tables


@dataclass(frozen=True, kw_only=True)
class Section:
    """Everything that a report says of one run; `id` prefixes every identifier of its part of the page."""

    id: str
    title: str
    run_id: str
    machine: str
    outcome: str
    notes: tuple[str, ...]
    findings: tuple[str, ...]
    stops: tuple[str, ...]
    figures: tuple[tuple[str, tuple[Shape, ...]], ...]
    quality: tuple[Chart, ...]
    tables: tuple[Table, ...]
    expectations: Table | None
    expectations_said: str
    claims: Table | None
    claims_said: str
    cards: Table | None
    contradictions: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]
    suite_text: str


def section(source: Source, *, id: str) -> Section:
    """What is told of one run."""
    summary, reference = source.summary, source.reference
    parts = cost_parts(summary)
    figures = [(part.name, tuple(cost_shapes(part, reference))) for part in parts]
    found = findings(summary, reference, source.quality)
    stops = [finding for finding in found if finding.kind == "stops"]
    others = [finding for finding in found if finding.kind != "stops"]
    expected, said = expectations(source)
    claimed, claims_said = paper_claims(source)
    memory = environment_view.memory_of(source.environment)
    return Section(
        id=id,
        title=source.title,
        run_id=str(source.environment.get("run_id", source.run.id)),
        machine=environment_view.machine(source.environment),
        outcome=outcome(summary),
        notes=source.notes,
        findings=tuple(sentences(others, among=found)),
        stops=tuple(sentences(stops, among=found)),
        figures=tuple((name, shapes) for name, shapes in figures if shapes),
        quality=tuple(quality_charts(summary)),
        tables=(
            *(table for part in parts for table in cost_tables(part)),
            *filter(None, (frontier_table(part, memory) for part in parts)),
            *quality_tables(summary, source.quality),
        ),
        expectations=ledger_table(expected, caption="Expectations of the suite", id="expectations")
        if expected
        else None,
        expectations_said=said or f"{counted(expected)}.",
        claims=ledger_table(claimed, caption="Claims of papers", id="claims") if claimed else None,
        claims_said=claims_said or f"{counted(claimed)}.",
        cards=cards_table(source.cards, id="cards") if source.cards else None,
        contradictions=tuple(contradictions(source.cards or ())),
        environment=tuple(environment_view.environment_lines(source.environment)),
        commands=tuple(environment_view.commands(source.environment, source.run.folder)),
        suite_text=source.suite_text,
    )


def html(sources: Sequence[Source], notes: Sequence[str] = ()) -> str:
    """The page of some runs; `notes` tell of those that were left out."""
    sections = [section(source, id=f"r{number}") for number, source in enumerate(sources, start=1)]
    names = [str(name) for source in sources for name in source.summary["attention"].unique()]
    names += [card.name for source in sources for card in source.cards or ()]
    together = [name for source in sources for name in compared_names(source.summary)]
    script = _text("report.js")
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=sections[0].title if len(sections) == 1 else f"{len(sections)} runs of linrec-bench",
            sections=sections,
            notes=list(notes),
            keys=svg_markers.keys(names, together=together),
            light=svg_markers.LIGHT,
            dark=svg_markers.DARK,
            style=_text("report.css"),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            version=linrec_bench.__version__,
        )
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def table_html(table: Table, keys: dict[str, svg_markers.Key]) -> str:
    """One table as the page shows it."""
    module = _environment().get_template("table.html").make_module({"keys": keys})
    return str(module.table(table, prefix=""))  # type: ignore[attr-defined]


def _text(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
