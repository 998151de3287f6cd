"""Imports run downward; rooms of one floor do not know each other; help does not wait for torch."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "linrec_bench"

# From the ground up. A module may import from lower floors and from its own room.
FLOORS = [
    {"registry", "case", "repetition", "units"},
    {"parameters"},
    {"measures", "attention", "data", "results"},
    {"models", "analysis"},
    {"training", "figures", "baseline", "formats"},
    {"suite", "tasks"},
    {"execution"},
    {"catalogue", "check", "testing", "calibrate", "predict", "formula"},
    {"claims"},
    {"runner", "verify", "compare", "report"},
    {"console"},
    {"cli"},
    {"__main__", "reference"},
]


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("linrec_bench"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if node.module == "linrec_bench" else [node.module]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("linrec_bench."))


FLOOR = {name: level for level, floor in enumerate(FLOORS) for name in floor}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward(path):
    relative = path.relative_to(PACKAGE)
    own = relative.parts[0].removesuffix(".py")
    for module in imports(path):
        other = room(module)
        if other and other != own and other != "__version__":
            assert FLOOR[other] < FLOOR[own], f"{relative} imports {module}, which is not below it"


@pytest.mark.parametrize("room", ["analysis", "figures", "results"])
def test_rooms_that_read_results_never_import_torch_at_the_top(room):
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "torch" for name in names), path


def test_help_imports_no_heavy_module():
    code = (
        "import sys; sys.argv = ['linrec-bench', '--help']\n"
        "from linrec_bench.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
    assert "Example" not in done.stderr


def test_help_is_four_times_quicker_than_importing_torch():
    def best(*arguments):
        spans = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            spans.append(time.perf_counter() - started)
        return min(spans)

    assert best("-m", "linrec_bench", "--help") < best("-c", "import torch") / 4
