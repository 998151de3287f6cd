"""Imports run downward; rooms of one floor do not know each other; help does not wait for torch."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

from linrec_bench.attention.layer import split_heads

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


@pytest.mark.slow
def test_listings_import_neither_torch_nor_pandas(tmp_path):
    """Mechanisms and models are listed from what the first call kept, until the code changes."""
    code = (
        "import sys\n"
        "from linrec_bench.cli import main\n"
        "for words in sys.argv[1].split(','):\n"
        "    sys.argv = ['linrec-bench', *words.split()]\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, words\n"
        "    print(words, [m for m in ('torch', 'pandas', 'scipy', 'requests') if m in sys.modules])"
    )

    def shown(words):
        environment = {**os.environ, "LINREC_BENCH_CACHE": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code, words], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout.splitlines()

    first = shown("list attention")
    again = shown("--version,list suites,list measures,data list,list attention")
    for words in ("--version", "list suites", "list measures", "data list", "list attention"):
        assert f"{words} []" in again
    assert first[-1] != again[-1]
    assert first[:-1] == again[-len(first) : -1]


def test_shapes_are_checked_in_every_test():
    with pytest.raises(jaxtyping.TypeCheckError):
        split_heads(torch.zeros(2, 3), 1)
