"""What would be run, and what it would need: the tables of `run --dry-run` and of `predict`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from linrec_bench.commands.predict import Forecast
from linrec_bench.commands.run import Plan
from linrec_bench.presentation.numbers import duration, memory
from linrec_bench.terminal.streams import listed, out


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


def show_forecast(forecasts: Sequence[Forecast], memory_bytes: int) -> None:
    """For each case what it needs, the least time that it can take, and whether it fits."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("attention", "phase", "N", "B", "D", "needs", "at least", ""):
        numbers = name in ("N", "B", "D", "needs", "at least")
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for each in forecasts:
        case = each.case
        shape = [str(size) for size in (case.seq_len, case.batch_size, case.hidden_size)]
        name = f"{case.attention_label}{' causal' if case.causal else ''}"
        if each.fits is None:
            table.add_row(name, case.phase, *shape, "-", "-", "not known")
            continue
        least = duration(each.least_time_s) if each.least_time_s is not None else "-"
        verdict = "" if each.fits else "does not fit"
        table.add_row(name, case.phase, *shape, memory(each.needed_bytes), least, verdict)
    out.print(table)
    for reason, cases in Counter(each.detail for each in forecasts if each.fits is None).items():
        listed(f"{cases} not known: {reason}")
    short = sum(each.fits is False for each in forecasts)
    out.print(f"{short} of {len(forecasts)} cases do not fit {memory(memory_bytes)}; nothing was run")
