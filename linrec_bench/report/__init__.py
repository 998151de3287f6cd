"""Stored runs -> one page that answers at a glance, and a short summary for a pull request."""

from linrec_bench.report.markdown import markdown
from linrec_bench.report.page import html
from linrec_bench.report.sources import Source, gather, newest

__all__ = ["Source", "gather", "html", "markdown", "newest"]
