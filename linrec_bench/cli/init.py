"""`linrec-bench init`."""

from __future__ import annotations

import json
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.whole_file import replaced

DEFAULT_FILE = Path("suite.yaml")

WORKFLOW_FILE = Path(".github/workflows/complexity.yml")


_UNQUOTED = re.compile(r"""[\x00-\x1f\x7f-\x9f"'\\#]|: """)
"""What a path may not have that stands in comments, texts of Python and values of YAML."""


class Ci(StrEnum):
    """Services for which a workflow can be written."""

    GITHUB = "github"


def command(
    file: Annotated[
        Path | None,
        typer.Argument(
            help=f"Suite file to write (default without --schema: {DEFAULT_FILE}).", metavar="FILE"
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the JSON Schema of suites, for completion and checks in an editor.",
        ),
    ] = None,
    plugin: Annotated[
        Path | None,
        typer.Option(help="Write a mechanism to this file, and a suite of the same name.", metavar="FILE.py"),
    ] = None,
    layer: Annotated[
        bool, typer.Option("--layer", help="With --plugin: write a layer of the mechanism too.")
    ] = False,
    ci: Annotated[
        Ci | None,
        typer.Option(help=f"With --plugin: also write a workflow that checks it ({WORKFLOW_FILE})."),
    ] = None,
) -> None:
    """Write files to start from.

    Without --plugin, a commented suite. With it, a mechanism in one file and its suite, and with --ci a
    workflow for both, which may exist already. Never overwrites any of them.

    Example: `linrec-bench init my_suite.yaml --schema suite.schema.json`
    """
    from linrec_bench.suite.base_models import NAME
    from linrec_bench.suite.json_schema import TITLE, suite_schema
    from linrec_bench.suite.template import TEMPLATE, modeline

    if plugin is None and (layer or ci):
        raise ValueError(f"{'--layer' if layer else '--ci'}: expected --plugin FILE.py beside it")
    target = file if file is not None or schema is not None or plugin is not None else DEFAULT_FILE
    for path in (target, schema, plugin):
        if path is not None and _UNQUOTED.search(path.as_posix()):
            raise ValueError(f"{str(path)!r}: expected a path without quotes, # and line breaks")
    if target is not None and not re.fullmatch(NAME, target.stem):
        raise ValueError(f"{target}: expected the name of a suite, of letters, digits and any of . _ -")
    if target is not None and target.exists():
        raise ValueError(f"{target} exists; expected the name of a new file")
    if (
        schema is not None
        and schema.exists()
        and f'"title": "{TITLE}"' not in schema.read_text(encoding="utf-8", errors="replace")
    ):
        raise ValueError(f"{schema} exists and is no schema of suites; expected the name of a new file")
    if plugin is not None:
        _write_plugin(plugin, layer=layer, ci=ci)
    if schema is not None:
        _write(schema, json.dumps(suite_schema(), indent=2) + "\n")
    if target is not None:
        head = modeline(Path(os.path.relpath(schema, target.parent)).as_posix()) if schema else ""
        _write(target, head + TEMPLATE.format(name=target))


def _write_plugin(plugin: Path, *, layer: bool, ci: Ci | None) -> None:
    """The mechanism and its suite, unless both exist and a workflow is asked for; then the workflow."""
    from linrec_bench.suite import plugin_template as template

    if plugin.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", plugin.stem):
        raise ValueError(f"--plugin {plugin}: expected a Python file in lower case, such as my_attention.py")
    suite, name = plugin.with_suffix(".yaml"), plugin.stem.replace("_", "-")
    exist = [path for path in (plugin, suite) if path.exists()]
    if exist and not (ci and len(exist) == 2):
        raise ValueError(f"{exist[0]} exists; expected the name of a new file")
    if ci and WORKFLOW_FILE.exists():
        raise ValueError(f"{WORKFLOW_FILE} exists; remove it to have it written anew")
    where = {"file": plugin.as_posix(), "suite": suite.as_posix()}
    if not exist:
        _write(plugin, template.plugin_text(**where, name=name, layer=layer))
        task = "layer" if layer else "core"
        _write(suite, template.SUITE.format(**where, name=name, task=task))
    if ci:
        WORKFLOW_FILE.parent.mkdir(parents=True, exist_ok=True)
        _write(WORKFLOW_FILE, template.workflow_text(**where))


def _write(path: Path, text: str) -> None:
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(path)
