"""What a person sees in a terminal: progress while a suite runs, tables at its end. 80 columns are enough."""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from linrec_bench import calibrate, formats
from linrec_bench.analysis.verdicts import Verdict
from linrec_bench.case import Case, label
from linrec_bench.execution.local import STEADY_ALLOCATOR
from linrec_bench.execution.run import Event
from linrec_bench.predict import Forecast
from linrec_bench.results import environment
from linrec_bench.results.store import Run
from linrec_bench.runner import Plan
from linrec_bench.suite.schema import Suite
from linrec_bench.verify import Card

if TYPE_CHECKING:
    import pandas as pd

out = Console(highlight=False)
talk = Console(stderr=True, highlight=False)

DEFAULT_MARGIN = 0.25
"""For timed ratios where nothing was calibrated."""

_MARKS = {
    "ok": "",
    "skipped": "skip",
    "unsupported": "n/a",
    "killed": "kill",
    "timeout": "time",
    "error": "err",
}


def seconds(value: float) -> str:
    """Three significant digits with a unit: `812 µs`, `1.20 ms`, `3.4 min`."""
    if value is None or math.isnan(value):
        return "-"
    for bound, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if value < bound:
            return f"{_three(value * factor)} {unit}"
    return f"{_three(value / 3600)} h"


def amount(value: float) -> str:
    """Bytes with a binary unit, three significant digits."""
    if value is None or math.isnan(value):
        return "-"
    for power, unit in ((0, "B"), (1, "KiB"), (2, "MiB"), (3, "GiB")):
        if value < 1000 * 1024**power or unit == "GiB":
            return f"{_three(value / 1024**power)} {unit}"
    raise AssertionError("unreachable")


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def describe_case(case: Case) -> str:
    """One case in one short line."""
    shape = f"N {case.seq_len}, B {case.batch_size}, D {case.hidden_size}"
    direction = "causal" if case.causal else "bidirectional"
    seed = f", seed {case.seed}" if case.task == "recommend" else ""
    return f"{case.attention_label}, {case.task} {case.phase}, {direction}, {shape}{seed}"


@contextmanager
def progress(planned: Plan, run: Run, done: int) -> Iterator[Callable[[Event], None]]:
    """Show trials as they end: a live bar with an ETA in a terminal, plain lines elsewhere.

    The bar is redrawn between trials only, never while something is timed.
    """
    total = len(planned.trials)
    eta = Eta(total - done)
    cases = len(planned.jobs)
    talk.print(
        f"{planned.suite.title or planned.suite.name}: {cases} cases, {total} trials on {planned.device}"
    )
    if done:
        talk.print(f"resuming {run.folder}: {done} trials are stored; --fresh starts anew")
    counts: Counter[str] = Counter()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[eta]}"),
        console=talk,
        auto_refresh=False,
        disable=not talk.is_terminal,
    )
    line = bar.add_task("starting", total=total, completed=done, eta="")

    def on_event(event: Event) -> None:
        outcome = event.outcome
        counts[outcome.status] += 1
        left = eta.update(event)
        text = describe_case(event.trial.job.case)
        if outcome.status not in ("ok", "skipped"):
            talk.print(f"{outcome.status}: {text}: {outcome.detail}")
        if talk.is_terminal:
            bar.update(line, advance=1, description=text[:36], eta=f"{seconds(left)} left")
            bar.refresh()
        elif _worth_a_line(sum(counts.values()), total - done):
            talk.print(
                f"[{done + sum(counts.values())}/{total}] {outcome.status} {text}, {seconds(left)} left",
                soft_wrap=True,
            )

    with bar:
        yield on_event
    if len(counts) > 1 or "ok" not in counts:
        talk.print("trials: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()))


def _worth_a_line(finished: int, total: int) -> bool:
    """About forty lines a run in a log, and each trial of a short one."""
    return total <= 40 or finished == total or finished % (total // 40 + 1) == 0


class Eta:
    """Time left from the pace so far: a case that was measured before takes as long again."""

    def __init__(self, trials: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = trials
        self._clock = clock
        self._started = clock()
        self._finished = 0

    def update(self, event: Event) -> float:
        del event
        self._finished += 1
        self._left -= 1
        return (self._clock() - self._started) / self._finished * self._left


@contextmanager
def counter(name: str) -> Iterator[Callable[[int, int], None]]:
    """Count trials, between which alone it is drawn; silent where nobody watches."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=talk,
        auto_refresh=False,
        disable=not talk.is_terminal,
    )
    with bar:
        line = bar.add_task(name, total=None)

        def on_trial(done: int, total: int) -> None:
            bar.update(line, completed=done, total=total)
            bar.refresh()

        yield on_trial


def margin(given: float | None, path: Path, device: str) -> float:
    """The margin for timed ratios: as given, as calibrated in `path`, or the default; says which."""
    if given is not None:
        return given
    if not path.is_file():
        say(f"timed ratios: margin {DEFAULT_MARGIN:.0%}; `linrec-bench calibrate` finds that of this machine")
        return DEFAULT_MARGIN
    found = calibrate.read(path)
    differs = found.differs(environment.describe(device=device, allocator=STEADY_ALLOCATOR))
    if differs:
        say(f"{path}: calibrated elsewhere ({', '.join(differs)} differ); margins may not hold here")
    return DEFAULT_MARGIN if found.margins["time"] is None else found.margins["time"]


@contextmanager
def download(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show how much of a file has come; silent where nobody watches."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        console=talk,
        disable=not talk.is_terminal,
    )
    with bar:
        line = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total or None)


def show_plan(planned: Plan) -> None:
    """The plan of a dry run: what each mechanism would be asked, and how often."""
    table = Table("task", "phase", "attention", "cases", "rounds", "seq_len", box=None, pad_edge=False)
    groups: dict[tuple[str, str, str, int], list[int]] = {}
    for job in planned.jobs:
        key = (job.case.task, job.case.phase, job.case.attention_label, job.rounds)
        groups.setdefault(key, []).append(job.case.seq_len)
    for (task, phase, attention, rounds), lengths in groups.items():
        span = f"{min(lengths)}..{max(lengths)}" if len(set(lengths)) > 1 else str(lengths[0])
        table.add_row(task, phase, attention, str(len(lengths)), str(rounds), span)
    out.print(table)
    out.print(
        f"{len(planned.jobs)} cases, {len(planned.trials)} trials on {planned.device}; nothing was measured"
    )


def show_summary(summary: pd.DataFrame, suite: Suite) -> None:
    """The end of a run: one table a question, then the findings."""
    from linrec_bench.analysis.headline import headline

    costs = summary[summary["task"] != "recommend"]
    for (task, phase, causal), part in costs.groupby(["task", "phase", "causal"], sort=False):
        panel, panels = _largest_panel(part)
        direction = "causal" if causal else "bidirectional"
        batch, hidden = panel["batch_size"].iloc[0], panel["hidden_size"].iloc[0]
        what = task if phase == "step" else f"{task} {phase}"
        name = f"{what}, {direction}, batch {batch}, hidden {hidden}".replace("_", " ")
        if panels > 1:
            name += f" (one of {panels} shapes, all in summary.csv)"
        _show_panel(name, panel, _attention_order(suite))
    quality = summary[summary["task"] == "recommend"]
    if len(quality):
        _show_quality(quality)
    for sentence in headline(summary, suite.reference_attention()):
        out.print(sentence)


_SHAPE = ["batch_size", "hidden_size", "heads", "layers", "dtype", "seed"]


def _largest_panel(part: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows of the largest shape, one a mechanism and length, and the number of such panels."""
    shapes = part[_SHAPE].drop_duplicates().sort_values(_SHAPE)
    return part.merge(shapes.tail(1), on=_SHAPE), len(shapes)


def _attention_order(suite: Suite) -> list[str]:
    return [label(entry.name, entry.params) for sweep in suite.sweeps for entry in sweep.attention]


def _show_panel(title: str, panel: pd.DataFrame, order: Sequence[str]) -> None:
    lengths = sorted(panel["seq_len"].unique())
    shown = lengths if len(lengths) <= 6 else lengths[:: -(-len(lengths) // 6)]
    if lengths[-1] not in shown:
        shown = [*shown[:-1], lengths[-1]]
    for column, meaning, formatted in (
        ("time_s", "median time a call", seconds),
        ("memory_bytes", "peak memory", amount),
    ):
        if column not in panel or panel[column].isna().all():
            continue
        out.print(f"{title}: {meaning}", style="bold")
        table = Table(box=None, pad_edge=False)
        table.add_column("N", no_wrap=True)
        for length in shown:
            table.add_column(str(length), justify="right", no_wrap=True)
        for attention in dict.fromkeys([*order, *panel["attention"]]):
            cells = panel[panel["attention"] == attention].set_index("seq_len")
            if cells.empty:
                continue
            table.add_row(str(attention), *(_cell(cells, length, column, formatted) for length in shown))
        out.print(table)
        out.print()


def _cell(rows: pd.DataFrame, length: int, column: str, formatted: Callable[[float], str]) -> str:
    if length not in rows.index:
        return ""
    at = list(rows.index).index(length)
    value = rows[column].to_numpy(dtype=float, na_value=math.nan)[at]
    if not math.isnan(value):
        return formatted(float(value))
    status = str(rows["status"].iloc[at])
    return _MARKS.get(status, status)


def _show_quality(quality: pd.DataFrame) -> None:
    out.print("Ranking quality on test, whole catalogue", style="bold")
    table = Table(box=None, pad_edge=False)
    columns = [name for name in ("ndcg@10", "recall@10", "mrr@10") if name in quality]
    for name in ("attention", "N", "seed", *columns, "epochs", "training"):
        table.add_column(name, justify="left" if name == "attention" else "right", no_wrap=True)
    for _, row in quality.iterrows():
        known = row["status"] == "ok"
        cells = [f"{row[name]:.4f}" if known else str(row["status"]) for name in columns]
        epochs = f"{row['epochs']:.0f}" if known else "-"
        training = seconds(row["train_time_s"]) if known else "-"
        table.add_row(str(row["attention"]), str(row["seq_len"]), str(row["seed"]), *cells, epochs, training)
    out.print(table)
    out.print()


def show_verdicts(verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    """What is broken, then what is undecided, each in full; what holds as a count."""
    if as_json:
        print(json.dumps(formats.as_records(verdicts), indent=2))
        return
    for answer in ("broken", "undecided"):
        for verdict in verdicts:
            if verdict.answer == answer:
                out.print(f"{answer}: {verdict.claim}", style=_COLOURS[answer])
                out.print(f"  {verdict.place}")
                out.print(f"  found {formats.found(verdict)}")
    counts: Counter[str] = Counter(verdict.answer for verdict in verdicts)
    names = ("holds", "broken", "undecided")
    out.print(", ".join(f"{counts[name]} {name}" for name in names) if verdicts else "nothing to check")


_COLOURS = {"broken": "red", "undecided": "yellow"}


def show_forecast(forecasts: Sequence[Forecast], memory_bytes: int) -> None:
    """For each mechanism and shape the longest sequence that fits, then what does not."""
    table = Table(box=None, pad_edge=False)
    for name in ("attention", "phase", "N", "B", "D", "needs", "at least", ""):
        table.add_column(name, justify="right" if name in ("N", "B", "D", "needs", "at least") else "left")
    for each in forecasts:
        case = each.case
        shape = [str(size) for size in (case.seq_len, case.batch_size, case.hidden_size)]
        name = f"{case.attention_label}{' causal' if case.causal else ''}"
        if each.fits is None:
            table.add_row(name, case.phase, *shape, "-", "-", each.detail)
            continue
        least = seconds(each.least_time_s) if each.least_time_s is not None else "-"
        verdict = "" if each.fits else "does not fit"
        table.add_row(name, case.phase, *shape, amount(each.needed_bytes), least, verdict)
    out.print(table)
    short = sum(each.fits is False for each in forecasts)
    out.print(f"{short} of {len(forecasts)} cases do not fit {amount(memory_bytes)}; nothing was run")


def show_cards(cards: Sequence[Card]) -> None:
    """A row a property, a column a mechanism and direction; below, every contradiction in words."""
    for card in cards:
        direction = "causal" if card.causal else "bidirectional"
        broken = len(card.contradictions)
        said = "holds" if not broken else f"{broken} of {len(card.found)} properties contradicted"
        out.print(f"{card.name}, {direction}: {said}", style="red" if broken else "")
        for contradiction in card.contradictions:
            out.print(f"  {contradiction}")


def write_reports(verdicts: Sequence[Verdict], *, name: str, junit: Path | None) -> None:
    """JUnit XML where asked for; in GitHub Actions also annotations and the job's summary."""
    if junit is not None:
        junit.write_text(formats.junit(verdicts, name), encoding="utf-8")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in formats.annotations(verdicts):
            talk.print(line, soft_wrap=True, markup=False, emoji=False)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(formats.markdown(verdicts) + "\n")


def say(text: str) -> None:
    """A line for the person who watches, beside whatever goes to standard output."""
    talk.print(text, soft_wrap=True)


def show_files(run: Run) -> None:
    talk.print(f"samples, summary and environment: {run.folder}", soft_wrap=True)
    talk.print(f"figures: linrec-bench plot {run.folder}", soft_wrap=True)


def show_figures(run: Run, drawn: Mapping[str, Sequence[Path] | str]) -> None:
    """Name each figure's files, or why it was not drawn."""
    for name, result in drawn.items():
        if isinstance(result, str):
            talk.print(f"{run.id}: no {name} figure: {result}", soft_wrap=True)
        else:
            for path in result:
                out.print(str(path), soft_wrap=True)


def show_entries(entries: Sequence[Mapping[str, str]]) -> None:
    """Records as a table; the last column takes what width is left."""
    table = Table(box=None, pad_edge=False)
    for key in entries[0] if entries else ():
        table.add_column(key, overflow="fold", no_wrap=key == "name")
    for entry in entries:
        table.add_row(*entry.values())
    out.print(table)


def show_mapping(mapping: Mapping[str, object]) -> None:
    for key, value in mapping.items():
        out.print(f"{key:<20}{value}")
