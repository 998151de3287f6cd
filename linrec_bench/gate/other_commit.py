"""The exact counts of another commit, counted by its own code in a temporary git worktree."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import linrec_bench


@contextmanager
def baseline_of(
    ref: str, suite: str, device: str, settings: Sequence[str] = (), plugins: Sequence[Path] = ()
) -> Iterator[Path]:
    """A baseline file with the counts of the commit `ref` of the repository of the current folder.

    The suite is the one given now, so that both commits count the same cases. Files of plugins are those of
    the commit, and so is linrec-bench where the repository is its own. Worktree and file are removed at the
    end in every case. `ValueError`, one line, where there is no repository or commit, or the commit cannot
    count the suite.
    """
    top = Path(
        _git("rev-parse", "--show-toplevel", fault="--against: the current folder is in no git repository")
    )
    fault = (
        f"--against {ref}: no commit of {top}; expected a branch, tag or hash (a shallow clone lacks most)"
    )
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", fault=fault)
    with tempfile.TemporaryDirectory(prefix="linrec-bench-") as folder:
        tree, counts = Path(folder).resolve() / "tree", Path(folder).resolve() / "baseline.json"
        try:
            fault = f"--against {ref}: cannot be checked out"
            _git("worktree", "add", "--detach", str(tree), commit, fault=fault)
            arguments = [str(Path(suite).resolve()) if Path(suite).is_file() else suite, "--device", device]
            arguments += [part for each in settings for part in ("--set", each)]
            for plugin in plugins:
                arguments += ["--plugin", str(_in_tree(tree, top, plugin, ref))]
            _count([*arguments, "--baseline", str(counts), "--update-baseline"], tree, counts, ref)
            yield counts
        finally:
            if tree.exists():
                _git("worktree", "remove", "--force", str(tree), fault=f"{tree}: cannot be removed")


def _git(*arguments: str, fault: str) -> str:
    """What git prints; `ValueError` of `fault`, with git's reason if it gives one."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ValueError("--against: git is not installed") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise ValueError(f"{fault} ({reason[-1]})" if reason else fault)
    return done.stdout.strip()


def _in_tree(tree: Path, top: Path, plugin: Path, ref: str) -> Path:
    """The file of a plugin as the commit holds it."""
    file = plugin.resolve()
    if not file.is_relative_to(top.resolve()):
        raise ValueError(f"--against {ref}: --plugin {plugin}: outside of {top}; expected a file in it")
    found = tree / file.relative_to(top.resolve())
    if not found.is_file():
        raise ValueError(f"--against {ref}: the commit has no {plugin}; expected a commit that has it")
    return found


def _count(arguments: Sequence[str], tree: Path, counts: Path, ref: str) -> None:
    """Write the counts of `tree`; whether that commit keeps its own bounds is not asked."""
    own = (tree / "linrec_bench" / "__init__.py").is_file()
    package = tree if own else Path(linrec_bench.__file__).parents[1]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "linrec_bench", "check", *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if not counts.is_file():
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise ValueError(f"--against {ref}: that commit cannot count the suite: {reason}")
