"""`linrec-bench init`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_FILE = Path("suite.yaml")


def command(
    file: Annotated[
        Path | None,
        typer.Argument(
            help=f"Suite file to write (default without --schema: {DEFAULT_FILE}).", metavar="FILE"
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="Also write the JSON Schema of suites, for completion and checks in an editor."),
    ] = None,
) -> None:
    """Write a commented suite to start from.

    Never overwrites a suite.

    Example: `linrec-bench init my_suite.yaml --schema suite.schema.json`
    """
    from linrec_bench.suite.json_schema import TITLE, suite_schema
    from linrec_bench.suite.template import TEMPLATE, modeline

    target = file if file is not None or schema is not None else DEFAULT_FILE
    if target is not None and target.exists():
        raise ValueError(f"{target} exists; expected the name of a new file")
    if schema is not None:
        if schema.exists() and f'"title": "{TITLE}"' not in schema.read_text(
            encoding="utf-8", errors="replace"
        ):
            raise ValueError(f"{schema} exists and is no schema of suites; expected the name of a new file")
        _write(schema, json.dumps(suite_schema(), indent=2) + "\n")
    if target is not None:
        head = modeline(Path(os.path.relpath(schema, target.parent)).as_posix()) if schema else ""
        _write(target, head + TEMPLATE.format(name=target))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror}") from error
    print(path)
