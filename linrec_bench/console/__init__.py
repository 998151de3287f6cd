"""What a person sees in a terminal: progress, tables, verdicts; 80 columns are enough."""

from linrec_bench.console.catalogue import show_entries, show_figures, show_files
from linrec_bench.console.costs import show_costs
from linrec_bench.console.histories import show_data
from linrec_bench.console.live import counter, download, progress
from linrec_bench.console.margin import DEFAULT_MARGIN, margin_for
from linrec_bench.console.plans import show_forecast, show_plan
from linrec_bench.console.summary import show_summary
from linrec_bench.console.terminal import out, say, talk
from linrec_bench.console.units import amount, seconds, time_left
from linrec_bench.console.verdicts import show_cards, show_verdicts, write_reports

__all__ = [
    "DEFAULT_MARGIN",
    "amount",
    "counter",
    "download",
    "margin_for",
    "out",
    "progress",
    "say",
    "seconds",
    "show_cards",
    "show_costs",
    "show_data",
    "show_entries",
    "show_figures",
    "show_files",
    "show_forecast",
    "show_plan",
    "show_summary",
    "show_verdicts",
    "talk",
    "time_left",
    "write_reports",
]
