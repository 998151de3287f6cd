"""The command line: a module a verb, each of which parses, calls one function and prints.

Heavy imports stand inside the verbs' functions: `--help` waits for neither torch nor pandas.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer
from typer.core import TyperGroup

from linrec_bench import __version__
from linrec_bench.cli import last_resort
from linrec_bench.cli.encoding import write_plainly_what_the_encoding_lacks
from linrec_bench.cli.options import Verb

VERBS = {
    "answer": "answer",
    "run": "run",
    "plot": "plot",
    "report": "report",
    "check": "check",
    "history": "history",
    "compare": "compare",
    "export": "export",
    "merge": "merge",
    "convert": "convert",
    "predict": "predict",
    "calibrate": "calibrate",
    "verify": "verify",
    "list": "listing",
    "data": "data",
    "env": "env",
    "init": "init",
}
"""Verb -> module of this package, in the order of `--help`. A module's `command` is a function, or a
`typer.Typer` with verbs of its own."""


class _InOrder(TyperGroup):
    """Verbs in the order of `VERBS`; typer alone would put groups last."""

    def list_commands(self, ctx: object) -> list[str]:
        del ctx
        return list(VERBS)


app = typer.Typer(
    name="linrec-bench",
    help="Measure attention for long user histories: time, peak memory and ranking quality.",
    cls=_InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"linrec-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    show: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    del show


for _verb, _module in VERBS.items():
    _command = import_module(f"{__name__}.{_module}").command
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_verb)
    else:
        app.command(_verb, cls=Verb)(_command)


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2, a fault of the program one line and 70."""
    write_plainly_what_the_encoding_lacks()
    sys.exit(last_resort.run(app))
