"""What would be run, and what it would need: the tables of `run --dry-run` and of `predict`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from linrec_bench.commands.predict import Forecast
from linrec_bench.commands.run import Plan
from linrec_bench.presentation.numbers import duration, memory
from linrec_bench.terminal.streams import listed, out
from linrec_bench.terminal.tables import show_table


def show_plan(planned: Plan) -> None:
    """The plan of a dry run: what each mechanism would be asked, and how often."""
    groups: dict[tuple[str, str, str, int], list[int]] = {}
    for job in planned.jobs:
        key = (job.case.task, job.case.phase, job.case.attention_label, job.rounds)
        groups.setdefault(key, []).append(job.case.seq_len)
    rows = []
    for (task, phase, attention, rounds), lengths in groups.items():
        span = f"{min(lengths)}..{max(lengths)}" if len(set(lengths)) > 1 else str(lengths[0])
        rows.append((task, phase, attention, str(len(lengths)), str(rounds), span))
    text = ("task", "phase", "attention")
    show_table([*text, "cases", "rounds", "seq_len"], rows, left=text, fold=text)
    out.print(
        f"{len(planned.jobs)} cases, {len(planned.trials)} trials on {planned.device}; nothing was measured"
    )


def show_forecast(forecasts: Sequence[Forecast], memory_bytes: int) -> None:
    """For each case what it needs, the least time that it can take, and whether it fits."""
    rows = []
    for each in forecasts:
        case = each.case
        shape = [str(size) for size in (case.seq_len, case.batch_size, case.hidden_size)]
        name = f"{case.attention_label}{' causal' if case.causal else ''}"
        if each.fits is None:
            rows.append((name, case.phase, *shape, "-", "-", "unknown"))
            continue
        least = duration(each.least_time_s) if each.least_time_s is not None else "-"
        verdict = "yes" if each.fits else "no"
        rows.append((name, case.phase, *shape, memory(each.needed_bytes), least, verdict))
    head = ("attention", "phase", "N", "B", "D", "needs", "at least", "fits")
    show_table(head, rows, left=("phase", "fits"), fold=("phase", "fits"), gap=1)
    for reason, cases in Counter(each.detail for each in forecasts if each.fits is None).items():
        listed(f"{cases} not known: {reason}")
    short = sum(each.fits is False for each in forecasts)
    out.print(f"{short} of {len(forecasts)} cases do not fit {memory(memory_bytes)}; nothing was run")
