"""Imports run downward; rooms of one floor do not know each other; help does not wait for torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "linrec_bench"


def test_rooms_import_downward_only():
    """The floors are the contract of import-linter in pyproject.toml."""
    root = PACKAGE.parent
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("room", ["analysis", "figures", "results"])
def test_rooms_that_read_results_never_import_torch_at_the_top(room):
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "torch" for name in names), path


def test_help_imports_no_heavy_module():
    """Of the tool and of every verb: what a person waits for is Python and typer."""
    code = (
        "import sys\n"
        "from linrec_bench.cli import app, main\n"
        "from typer.main import get_command\n"
        "for words in [[], *([verb] for verb in get_command(app).commands)]:\n"
        "    sys.argv = ['linrec-bench', *words, '--help']\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, words\n"
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage:") > 10
    assert done.stdout.strip().splitlines()[-1] == "[]"
