"""What share of small faults in the modules that decide do their tests find?

    python benchmarks/mutation.py [--each 10] [--seed 0] [--only store] [--out results/reference/mutation]

Each mutant is one change of one module: a comparison that includes or leaves out the boundary, another sign,
`and` for `or`, a number one larger, a condition turned round, a value returned as None. A seeded sample of
them runs against the tests of the module's room, in a copy of the checkout, one after another. Rows are
appended to `mutants.csv` as they come, and a second call goes on where the first one ended; a mutant of a
module that has changed since is another mutant. `killed` are those that a test, an import or the time limit
found.
"""

from __future__ import annotations

import argparse
import ast
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_S = 600.0
TESTS = {
    "analysis": ("tests/analysis",),
    "gate/check.py": ("tests/gate/test_check.py", "tests/test_check_of_a_run.py"),
    "training/evaluate.py": ("tests/training/test_evaluate.py", "tests/training/test_candidates.py"),
    "results/store.py": ("tests/results", "tests/execution/test_driver.py"),
}
"""A module, or a room of which every module is taken -> the tests that are to find its faults."""

COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq}
COMPARISONS |= {ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


@dataclass(frozen=True)
class Mutant:
    """One change, and what came of it. `source` is a digest of the module that was changed."""

    module: str
    source: str
    line: int
    change: str
    outcome: str = ""

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.module, self.source, self.line, self.change


def changes(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Line, words and the change itself, of every place of a module that has one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
            yield _replaced(node, "ops", [COMPARISONS[type(node.ops[0])](), *node.ops[1:]])
        elif isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            yield _replaced(node, "op", SIGNS[type(node.op)]())
        elif isinstance(node, ast.BoolOp):
            yield _replaced(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield _replaced(node, "value", node.value + 1)
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            yield _replaced(node, "test", ast.UnaryOp(ast.Not(), node.test))
        elif isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None"):
            yield _replaced(node, "value", ast.Constant(None))


def _replaced(node: ast.expr | ast.stmt, field: str, value: object) -> tuple[int, str, Callable[[], None]]:
    before, old = _words(node), getattr(node, field)
    setattr(node, field, value)
    after = _words(node)
    setattr(node, field, old)
    return node.lineno, f"{before} -> {after}", lambda: setattr(node, field, value)


def _words(node: ast.AST) -> str:
    """A statement by its first line."""
    return ast.unparse(ast.fix_missing_locations(node)).partition("\n")[0]


def sample(module: str, each: int, seed: int) -> list[Mutant]:
    """`each` mutants of a module, the same ones for the same seed and source."""
    text = (ROOT / "linrec_bench" / module).read_text(encoding="utf-8")
    source = sha256(text.encode()).hexdigest()[:12]
    every = sorted({(line, words) for line, words, _ in changes(ast.parse(text))})
    drawn = random.Random(f"{seed} {module}").sample(every, min(each, len(every)))
    return [Mutant(module, source, line, words) for line, words in sorted(drawn)]


def mutated(mutant: Mutant) -> str:
    """The source of the module with the change made."""
    tree = ast.parse((ROOT / "linrec_bench" / mutant.module).read_text(encoding="utf-8"))
    for line, words, change in list(changes(tree)):
        if (line, words) == (mutant.line, mutant.change):
            change()
            return ast.unparse(ast.fix_missing_locations(tree))
    raise ValueError(f"{mutant.module}: no such change: line {mutant.line}: {mutant.change}")


def passes(folder: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass on the copy in `folder`."""
    words = ("-m", "pytest", "-n", "0", "-x", "-m", "not slow", "-p", "no:cacheprovider", *tests)
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, *words]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def modules(only: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    package = ROOT / "linrec_bench"
    for place, tests in TESTS.items():
        found = [package / place] if place.endswith(".py") else sorted((package / place).glob("[!_]*.py"))
        names = (path.relative_to(package).as_posix() for path in found)
        yield from ((name, tests) for name in names if only in name)


def run(each: int, seed: int, only: str, table: Path) -> list[Mutant]:
    """Try the mutants that the table does not have; every row of the sample."""
    table.parent.mkdir(parents=True, exist_ok=True)
    if not table.exists():
        table.write_text(",".join(field.name for field in fields(Mutant)) + "\n", encoding="utf-8")
    with table.open(encoding="utf-8", newline="") as file:
        rows = [Mutant(**{**row, "line": int(row["line"])}) for row in csv.DictReader(file)]
    known, found, sound = {row.key: row for row in rows}, [], set()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "checkout")
        shutil.copytree(
            ROOT, folder, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache", "site")
        )
        for module, tests in modules(only):
            for mutant in sample(module, each, seed):
                if mutant.key in known:
                    found.append(known[mutant.key])
                    continue
                if tests not in sound:
                    assert passes(folder, tests), f"without a mutant, not all of these pass: {tests}"
                    sound.add(tests)
                place = folder / "linrec_bench" / module
                place.write_text(mutated(mutant), encoding="utf-8")
                outcome = "survived" if passes(folder, tests) else "killed"
                shutil.copy(ROOT / "linrec_bench" / module, place)
                found.append(Mutant(**{**asdict(mutant), "outcome": outcome}))
                with table.open("a", encoding="utf-8", newline="") as file:
                    csv.writer(file).writerow(asdict(found[-1]).values())
                print(f"{outcome:8} {module}:{mutant.line} {mutant.change}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, default=10, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="modules whose path has this text")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reference" / "mutation")
    given = parser.parse_args()
    found = run(given.each, given.seed, given.only, given.out / "mutants.csv")
    tried, killed = (
        Counter(m.module for m in found),
        Counter(m.module for m in found if m.outcome == "killed"),
    )
    for module, count in tried.items():
        print(f"{module:40} {killed[module]:3} of {count:3} killed")
    print(f"{'all':40} {killed.total():3} of {tried.total():3} killed")


if __name__ == "__main__":
    main()
