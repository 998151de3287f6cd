"""Other commits: their exact counts, by their own code in a temporary git worktree, and their names."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import linrec_bench
from linrec_bench.gate.history import Commit


@dataclass(frozen=True)
class Tree:
    """A commit that is checked out: its folder, the files of plugins in it, and how messages name it."""

    folder: Path
    plugins: tuple[Path, ...]
    asked: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which Python imports linrec-bench of the commit where the repository is its own."""
        own = (self.folder / "linrec_bench" / "__init__.py").is_file()
        package = self.folder if own else Path(linrec_bench.__file__).parents[1]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def checked_out(ref: str, plugins: Sequence[Path] = (), *, flag: str) -> Iterator[Tree]:
    """The commit `ref` of the repository of the current folder in a worktree, which is removed in every case.

    `ValueError`, one line that begins with `flag`, where there is no repository or commit, or it lacks a file
    of a plugin.
    """
    asked = f"{flag} {ref}"
    commit = described(ref, flag=flag).commit
    top = _top(asked)
    with tempfile.TemporaryDirectory(prefix="linrec-bench-") as folder:
        tree = Path(folder).resolve() / "tree"
        try:
            fault = f"{asked}: cannot be checked out"
            _git("worktree", "add", "--detach", str(tree), commit, fault=fault)
            yield Tree(tree, tuple(_in_tree(tree, top, plugin, asked) for plugin in plugins), asked)
        finally:
            if tree.exists():
                _git("worktree", "remove", "--force", str(tree), fault=f"{tree}: cannot be removed")


@contextmanager
def baseline_of(tree: Tree, suite: str, device: str, settings: Sequence[str] = ()) -> Iterator[Path]:
    """A baseline file with the counts of a commit, which is removed at the end.

    The suite is the one given now, so that both commits count the same cases. Files of plugins are those of
    the commit, and so is linrec-bench where the repository is its own. `ValueError`, one line, where the
    commit cannot count the suite.
    """
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "baseline.json"
        arguments = ["--baseline", str(counts), "--update-baseline"]
        _count([*arguments_of(suite, device, settings, tree.plugins), *arguments], tree, counts)
        yield counts


def arguments_of(
    suite: str, device: str, settings: Sequence[str] = (), plugins: Sequence[Path] = ()
) -> list[str]:
    """The suite of now and its options, for a process that runs in another folder."""
    arguments = [str(Path(suite).resolve()) if Path(suite).is_file() else suite, "--device", device]
    arguments += [part for each in settings for part in ("--set", each)]
    return arguments + [part for plugin in plugins for part in ("--plugin", str(plugin.resolve()))]


def described(ref: str, *, flag: str) -> Commit:
    """The commit that a branch, tag or hash of the repository of the current folder names."""
    asked = f"{flag} {ref}"
    fault = (
        f"{asked}: no commit of {_top(asked)}; expected a branch, tag or hash (a shallow clone lacks most)"
    )
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", fault=fault)
    text = _git("show", "--no-patch", "--date=short", "--format=%H%n%P%n%cd%n%s", commit, fault=fault)
    name, parents, date, subject = text.split("\n", 3)
    return Commit(commit=name, parent=parents.partition(" ")[0], date=date, subject=subject)


def between(first: str, last: str, *, flag: str) -> list[str]:
    """Hashes from `first` to `last` along first parents, both included; `ValueError` without a way."""
    asked = f"{flag} {first}..{last}"
    start, end = (described(ref, flag=flag).commit for ref in (first, last))
    chain = _git("rev-list", "--first-parent", "--reverse", f"{start}..{end}", fault=asked).split()
    if not chain or described(chain[0], flag=flag).parent != start:
        raise ValueError(
            f"{asked}: {first} is no ancestor of {last} along first parents; expected an older one"
        )
    return [start, *chain]


def _top(asked: str) -> Path:
    return Path(
        _git("rev-parse", "--show-toplevel", fault=f"{asked}: the current folder is in no git repository")
    )


def _git(*arguments: str, fault: str) -> str:
    """What git prints; `ValueError` of `fault`, with git's reason if it gives one."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ValueError(f"{fault} (git is not installed)") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise ValueError(f"{fault} ({reason[-1]})" if reason else fault)
    return done.stdout.strip()


def _in_tree(tree: Path, top: Path, plugin: Path, asked: str) -> Path:
    """The file of a plugin as the commit holds it."""
    file = plugin.resolve()
    if not file.is_relative_to(top.resolve()):
        raise ValueError(f"{asked}: --plugin {plugin}: outside of {top}; expected a file in it")
    found = tree / file.relative_to(top.resolve())
    if not found.is_file():
        raise ValueError(f"{asked}: the commit has no {plugin}; expected a commit that has it")
    return found


def _count(arguments: Sequence[str], tree: Tree, counts: Path) -> None:
    """Write the counts of `tree`; whether that commit keeps its own bounds is not asked."""
    command = [sys.executable, "-m", "linrec_bench", "check", *arguments]
    done = subprocess.run(
        command, cwd=tree.folder, env=tree.environment, capture_output=True, text=True, check=False
    )
    if not counts.is_file():
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise ValueError(f"{tree.asked}: that commit cannot count the suite: {reason}")
