"""`linrec-bench history`, without its printing: counts of commits, recorded or looked for in a range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from linrec_bench.gate import history, other_commit
from linrec_bench.gate.baseline import Baseline
from linrec_bench.gate.baseline_verdicts import accepted_in, compare
from linrec_bench.gate.history import Commit, Entry, History
from linrec_bench.presentation.baseline_changes import changes


@dataclass(frozen=True)
class Chosen:
    """What is counted of each commit."""

    suite: str
    device: str
    settings: Sequence[str] = ()
    plugins: Sequence[Path] = ()

    def counted(self, ref: str, *, flag: str) -> Baseline:
        """Counts by the code of the commit; `ValueError`, one line, where it cannot count."""
        with (
            other_commit.checked_out(ref, self.plugins, flag=flag) as tree,
            other_commit.baseline_of(tree, self.suite, self.device, self.settings) as path,
        ):
            return accepted_in(path)


@dataclass(frozen=True)
class Step:
    """A commit whose counts differ from those of `before`; where that is not its parent, those between were
    not counted. `lines`: name of a case without its length -> how each of its measures changed."""

    commit: Commit
    before: Commit
    lines: Mapping[str, Sequence[str]]

    @property
    def is_exact(self) -> bool:
        return self.commit.parent == self.before.commit

    def as_record(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "commit": self.commit.model_dump(),
            "before": self.before.model_dump(),
            "changes": {case: list(lines) for case, lines in self.lines.items()},
        }


def record(path: Path, chosen: Chosen) -> Entry:
    """Count the last commit and write it to the history in `path`, which is made where there is none."""
    suite = Path(chosen.suite).stem
    kept = history.read(path) if path.exists() else History(suite)
    if kept.suite != suite:
        raise ValueError(
            f"{path}: holds counts of the suite {kept.suite}, not {suite}; expected another --file"
        )
    commit = other_commit.described("HEAD", flag="--record")
    found = chosen.counted(commit.commit, flag="--record")
    entry = Entry(commit, found.torch, found.counts)
    history.write(path, kept.with_entry(entry))
    return entry


def steps(kept: History) -> list[Step]:
    """The steps between the commits of a history, as they were recorded."""
    return [_step(before, after) for before, after in kept.steps()]


def bisect(commits: str, chosen: Chosen, *, say: Callable[[str], None]) -> list[Step]:
    """The steps in the range `FIRST..LAST`, by counting as few of its commits as show them; `say` is told of
    those that cannot be counted. Raises `ValueError` for a range that is none, and where an end cannot be
    counted."""
    first, dots, last = commits.partition("..")
    if not first or not dots or last.startswith("."):
        raise ValueError(f"--bisect {commits}: expected FIRST..LAST, such as v1.0..main")
    hashes = other_commit.between(first, last or "HEAD", flag="--bisect")

    @cache
    def entry(at: int) -> Entry | None:
        try:
            found = chosen.counted(hashes[at], flag="--bisect")
        except ValueError as reason:
            if at in (0, len(hashes) - 1):
                raise
            say(f"passed over: {reason}")
            return None
        return Entry(other_commit.described(hashes[at], flag="--bisect"), found.torch, found.counts)

    def counts(at: int) -> Mapping[str, Mapping[str, int]] | None:
        found = entry(at)
        return None if found is None else found.counts

    pairs = ((entry(low), entry(high)) for low, high in history.bisect(counts, len(hashes)))
    return [_step(before, after) for before, after in pairs if before and after]


def _step(before: Entry, after: Entry) -> Step:
    verdicts = compare(after.counts, Baseline("", before.counts), whole=True)
    lines: dict[str, list[str]] = {}
    if before.torch != after.torch:
        lines["torch"] = [f"{before.torch} -> {after.torch}"]
    lines |= changes(verdicts)
    for kind, text in (("not_in_baseline", "new"), ("not_in_suite", "gone")):
        cases = {str(verdict.where["case"]): [text] for verdict in verdicts if verdict.basis.kind == kind}
        lines |= {case: said for case, said in cases.items() if case not in lines}
    return Step(after.commit, before.commit, lines)
