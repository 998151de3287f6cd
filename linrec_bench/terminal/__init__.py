"""What a person sees in a terminal: progress, tables, verdicts; 80 columns are enough.

Its modules are imported when a name of theirs is first used: listing suites imports neither torch nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linrec_bench.terminal.answer_plan import show_answer_plan as show_answer_plan
    from linrec_bench.terminal.answer_plan import show_paragraph as show_paragraph
    from linrec_bench.terminal.cost_formulas import show_costs as show_costs
    from linrec_bench.terminal.counters import counter as counter
    from linrec_bench.terminal.counters import download as download
    from linrec_bench.terminal.histories import show_data as show_data
    from linrec_bench.terminal.histories import show_first_rows as show_first_rows
    from linrec_bench.terminal.listings import show_entries as show_entries
    from linrec_bench.terminal.listings import show_entry as show_entry
    from linrec_bench.terminal.listings import show_figures as show_figures
    from linrec_bench.terminal.listings import show_files as show_files
    from linrec_bench.terminal.listings import show_lines as show_lines
    from linrec_bench.terminal.margin import margin_for as margin_for
    from linrec_bench.terminal.plan_tables import show_forecast as show_forecast
    from linrec_bench.terminal.plan_tables import show_plan as show_plan
    from linrec_bench.terminal.progress_bar import progress as progress
    from linrec_bench.terminal.run_summary import show_summary as show_summary
    from linrec_bench.terminal.step_lines import show_steps as show_steps
    from linrec_bench.terminal.step_lines import show_time_steps as show_time_steps
    from linrec_bench.terminal.streams import out as out
    from linrec_bench.terminal.streams import say as say
    from linrec_bench.terminal.streams import talk as talk
    from linrec_bench.terminal.verdict_lines import show_cards as show_cards
    from linrec_bench.terminal.verdict_lines import show_verdicts as show_verdicts
    from linrec_bench.terminal.verdict_lines import write_reports as write_reports

_HOMES = {
    "answer_plan": ("show_answer_plan", "show_paragraph"),
    "cost_formulas": ("show_costs",),
    "counters": ("counter", "download"),
    "histories": ("show_data", "show_first_rows"),
    "listings": ("show_entries", "show_entry", "show_figures", "show_files", "show_lines"),
    "margin": ("margin_for",),
    "plan_tables": ("show_forecast", "show_plan"),
    "progress_bar": ("progress",),
    "run_summary": ("show_summary",),
    "step_lines": ("show_steps", "show_time_steps"),
    "streams": ("out", "say", "talk"),
    "verdict_lines": ("show_cards", "show_verdicts", "write_reports"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
