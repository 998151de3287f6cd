"""Runs -> one self-contained HTML page: no network, no file beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice

import jinja2
import pandas as pd

import linrec_bench
from linrec_bench import forks
from linrec_bench.analysis.headline import findings
from linrec_bench.analysis.systems import Identity, compared, identities, named
from linrec_bench.declarations import trainings
from linrec_bench.figures import FigureSpec, NothingToDraw, Part, parts
from linrec_bench.figures.page_svg import PageFigure, StyleSheet, ThemedFigure, themed
from linrec_bench.presentation.sentences import sentences
from linrec_bench.report import environment_view
from linrec_bench.report.cards import cards_table, contradictions
from linrec_bench.report.expectations import expectations, paper_claims
from linrec_bench.report.frames import cost_parts, outcome
from linrec_bench.report.ledger import counted, ledger_table
from linrec_bench.report.legend import DARK, LIGHT, Key, Legend
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
    tables: tuple[Table, ...]
    ledger: tuple[Table, ...]
    cards: Table | None
    contradictions: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]
    suite_text: str


def section(source: Source, *, id: str) -> Section:
    """The report section of one run."""
    summary, reference = source.summary, source.reference
    costs = cost_parts(summary)
    found = findings(summary, reference, source.quality)
    stops = [finding for finding in found if finding.kind == "stops"]
    others = [finding for finding in found if finding.kind != "stops"]
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
        tables=(
            *(table for part in costs for table in cost_tables(part)),
            *filter(None, (frontier_table(part, memory) for part in costs)),
            *quality_tables(summary, source.quality),
        ),
        ledger=tuple(
            ledger_table(entries, caption=f"{caption}: {counted(entries)}", id=name)
            for caption, name, entries in (
                ("Expectations of the suite", "expectations", expectations(source)),
                ("Claims of papers", "claims", paper_claims(source)),
            )
            if entries
        ),
        cards=cards_table(source.cards, id="cards") if source.cards else None,
        contradictions=tuple(contradictions(source.cards or ())),
        environment=tuple(environment_view.environment_lines(source.environment)),
        commands=tuple(environment_view.commands(source.environment, source.run.folder)),
        suite_text=source.suite_text,
    )


@dataclass(frozen=True)
class Drawing:
    """A figure on the page: its identifier, what it declares, and what is drawn."""

    id: str
    spec: FigureSpec
    figure: PageFigure


def drawings(
    planned: Sequence[Part],
    figures: Iterable[ThemedFigure | None],
    *,
    id: str,
    sheet: StyleSheet,
    legend: Legend,
) -> list[Drawing]:
    """The figures of a run as its page shows them; those of parts that have nothing to draw are None."""
    return [
        Drawing(name, part.spec, figure.on_page(prefix=name, sheet=sheet, series_class=legend.add))
        for part, figure in zip(planned, figures, strict=True)
        if figure is not None
        for name in [f"{id}-{part.stem}"]
    ]


def figure_of(part: Part) -> ThemedFigure | None:
    """What is drawn of the part, in light and dark; None where there is nothing."""
    try:
        return themed(part.draw, (LIGHT, DARK))
    except NothingToDraw:
        return None


def _compared(summary: pd.DataFrame) -> dict[str, Identity]:
    """What figures and tables of quality call mechanisms or systems, with what their looks depend on."""
    rows = summary[summary["task"].isin(trainings())]
    return identities(compared(rows)) | identities(named(rows))


def html(
    sources: Sequence[Source], notes: Sequence[str] = (), *, title: str = "", answer: Sequence[str] = ()
) -> str:
    """The page of some runs; `notes` tell of those that were left out, `answer` is a paragraph before all."""
    # They are drawn while the sections are made.
    every = [list(parts(source.rows, source.summary)) for source in sources]
    figures = forks.started(figure_of, [part for own in every for part in own])
    sections = [section(source, id=f"r{number}") for number, source in enumerate(sources, start=1)]
    names: dict[str, Identity] = {}
    together: dict[str, Identity] = {}
    for source in sources:
        names |= identities(source.summary)
        together |= _compared(source.summary)
    for card in (card for source in sources for card in source.cards or ()):
        names.setdefault(card.name, (card.name, ""))
    legend, sheet = Legend(names, together=together), StyleSheet()
    drawn = {
        run.id: drawings(own, islice(figures, len(own)), id=run.id, sheet=sheet, legend=legend)
        for own, run in zip(every, sections, strict=True)
    }
    script = _text("report.js")
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title
            or (sections[0].title if len(sections) == 1 else f"{len(sections)} runs of linrec-bench"),
            sections=sections,
            notes=list(notes),
            answer=" ".join(answer),
            drawings=drawn,
            series={run: _series(found, legend) for run, found in drawn.items()},
            keys=legend,
            light=LIGHT.ground,
            dark=DARK.ground,
            figure_style=sheet.css(dark=False),
            figure_style_dark=sheet.css(dark=True),
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


def _series(drawn: Sequence[Drawing], legend: Legend) -> list[str]:
    """The mechanisms that the figures of a run show, in the order of the legend."""
    shown = {point.series for drawing in drawn for point in drawing.figure.points}
    return [name for name, key in legend.items() if key.id in shown]


def table_html(table: Table, keys: Mapping[str, Key]) -> str:
    """One table as the page shows it."""
    module = _environment().get_template("table.html").make_module({"keys": keys})
    return str(module.table(table, prefix=""))  # type: ignore[attr-defined]


def _text(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
