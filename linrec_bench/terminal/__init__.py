"""What a person sees in a terminal: progress, tables, verdicts; 80 columns are enough."""

from linrec_bench.terminal.cost_formulas import show_costs
from linrec_bench.terminal.histories import show_data, show_first_rows
from linrec_bench.terminal.listings import (
    show_entries,
    show_entry,
    show_figures,
    show_files,
    show_lines,
)
from linrec_bench.terminal.margin import margin_for
from linrec_bench.terminal.plan_tables import show_forecast, show_plan
from linrec_bench.terminal.progress_bar import counter, download, progress
from linrec_bench.terminal.run_summary import show_summary
from linrec_bench.terminal.streams import out, say, talk
from linrec_bench.terminal.verdict_lines import show_cards, show_verdicts, write_reports

__all__ = [
    "counter",
    "download",
    "margin_for",
    "out",
    "progress",
    "say",
    "show_cards",
    "show_costs",
    "show_data",
    "show_entries",
    "show_entry",
    "show_figures",
    "show_files",
    "show_first_rows",
    "show_forecast",
    "show_lines",
    "show_plan",
    "show_summary",
    "show_verdicts",
    "talk",
    "write_reports",
]
