"""Counts of commits: the file, the steps in it, and the search for those in a range."""

import json
import random
import subprocess
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from linrec_bench.commands import history as commands
from linrec_bench.gate import history, other_commit
from linrec_bench.gate.baseline import Baseline
from linrec_bench.gate.history import Commit, Entry, History

COMMITS = 100


def entry(at, counts, torch="2.13.0"):
    return Entry(
        Commit(commit=f"c{at}", parent=f"c{at - 1}", date="2026-11-29", subject=f"s {at}"), torch, counts
    )


def planted(seed):
    """The counts of 100 commits, one of which changes one count of one case, and which one that is."""
    random_ = random.Random(seed)
    counts = {f"case {n}": {"flops": random_.randrange(10**9), "peak_live_bytes": 8 * n} for n in range(20)}
    at, case, measure = (
        random_.randrange(1, COMMITS),
        f"case {random_.randrange(20)}",
        random_.choice(["flops", "peak_live_bytes"]),
    )
    changed = counts | {case: counts[case] | {measure: counts[case][measure] + random_.choice([-1, 1])}}
    return [counts if commit < at else changed for commit in range(COMMITS)], at


def test_a_planted_change_among_a_hundred_commits_is_named_every_time(tmp_path):
    for seed in range(100):
        counts, at = planted(seed)
        asked = set()

        def counted(commit, counts=counts, asked=asked):
            asked.add(commit)
            return counts[commit]

        assert list(history.bisect(counted, COMMITS)) == [(at - 1, at)]
        assert len(asked) <= 9
        kept = History("s", tuple(entry(commit, of_commit) for commit, of_commit in enumerate(counts)))
        history.write(tmp_path / "h.jsonl", kept)
        again = history.read(tmp_path / "h.jsonl")
        assert again == kept
        assert [after.commit.commit for _, after in again.steps()] == [f"c{at}"]
    # A commit without a change takes a line with nothing in it.
    assert (tmp_path / "h.jsonl").stat().st_size < 20_000


def test_several_changes_and_commits_that_cannot_be_counted():
    counts = [{"a": {"flops": level}} for level in (1, 1, 2, 2, 2, 3, 3, 4)]
    assert list(history.bisect(counts.__getitem__, 8)) == [(1, 2), (4, 5), (6, 7)]
    for gap in (1, 2, 3, 4):
        counts[gap] = None
    assert list(history.bisect(counts.__getitem__, 8)) == [(0, 5), (6, 7)]


def test_a_case_that_comes_and_one_that_goes_are_kept(tmp_path):
    of_commits = [
        {"a": {"flops": 1}},
        {"a": {"flops": 1}, "b": {"flops": 2, "x": 3}},
        {"b": {"flops": 2}},
        {},
    ]
    kept = History("s", tuple(entry(*each) for each in enumerate(of_commits)))
    history.write(tmp_path / "h.jsonl", kept)
    assert history.read(tmp_path / "h.jsonl") == kept
    assert len(kept.steps()) == 3
    replaced = kept.with_entry(entry(1, {"a": {"flops": 1}}))
    assert [each.counts for each in replaced.entries][:2] == [{"a": {"flops": 1}}] * 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1: Invalid JSON"),
        ('{"schema_version": 2, "suite": "s"}\n', "line 1: schema_version: "),
        ('{"schema_version": 1, "suite": "s"}\n{"commit": "c"}\n', "line 2: parent: "),
        ('{"schema_version": 1, "suite": "s"}\n{"com', "line 2: Invalid JSON"),
    ],
)
def test_a_damaged_file_is_one_line_with_the_place(tmp_path, text, place):
    (tmp_path / "h.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"h\.jsonl") as caught:
        history.read(tmp_path / "h.jsonl")
    assert place in str(caught.value)
    assert "\n" not in str(caught.value)


SUITE = """
task: core
attention: [mine]
grid: {seq_len: [64, 128], causal: [false]}
fixed: {hidden_size: 8, heads: 2}
phases: [forward]
"""
PLUGIN = """
from linrec_bench.attention.spec import Spec

def core(q, k, v, *, padding_mask=None, causal=False):
    return v * 2

SPEC = Spec(name="mine", core=core, reference=core)
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of four commits, in which a file says what a call costs; the third cannot be counted."""
    monkeypatch.chdir(tmp_path)

    def git(*arguments):
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    Path("mine.yaml").write_text(SUITE)
    Path("mine.py").write_text(PLUGIN)
    for cost, subject in (
        ("10", "first"),
        ("20", "dearer"),
        ("lost", "no number"),
        ("20 ", "the same again"),
    ):
        Path("cost").write_text(cost)
        git("add", "cost", "mine.py", "mine.yaml")
        git("commit", "-qm", subject)
    return git


@pytest.fixture
def costs(repository):
    """What counts commits of the repository, in the place of a suite that is counted in a worktree."""

    def counted(ref, *, flag):
        assert flag in ("--record", "--bisect")
        cost = int(repository("show", f"{ref}:cost"))
        return Baseline(
            "2.13", {"mine N=64": {"operations": 8 * cost}, "mine N=128": {"operations": 16 * cost}}
        )

    return SimpleNamespace(suite="mine.yaml", counted=counted)


@pytest.fixture
def call(exit_code):
    """The exit code of `linrec-bench history`."""
    return partial(exit_code, "history")


def test_the_commit_that_changed_a_count_is_named(repository, costs):
    passed_over = []
    (step,) = commands.bisect("main~3..main", costs, say=passed_over.append)
    assert (step.commit.subject, step.before.subject, step.is_exact) == ("dearer", "first", True)
    assert step.lines == {"mine": ["operations: 160 -> 320 at N = 128, x2, exponent unchanged"]}
    assert len(passed_over) <= 1
    assert commands.bisect("main~2..main", costs, say=passed_over.append) == []


def test_the_last_commit_is_recorded_and_steps_are_shown(repository, costs, call, capfd):
    file = Path("counts-history.jsonl")
    for commit in ("main~3", "main"):
        repository("checkout", "-q", commit)
        commands.record(file, costs)
    assert call() == 0
    title, before, case, change, total = capfd.readouterr().out.splitlines()
    assert title.endswith("the same again")
    assert before.startswith(f"  or a commit before it, after {repository('rev-parse', 'main~3')[:12]}")
    assert (case, change) == ("  mine", "    operations: 160 -> 320 at N = 128, x2, exponent unchanged")
    assert total == "2 commits of mine: 1 step"
    costs.suite = "other.yaml"
    with pytest.raises(ValueError, match="holds counts of the suite mine, not other"):
        commands.record(file, costs)


def test_a_commit_is_counted_as_it_was_committed_and_exported(repository, call, capfd):
    Path("mine.py").write_text("not committed, and no Python")
    assert call("mine.yaml", "--plugin", "mine.py", "--record") == 0
    capfd.readouterr()
    assert call("--export", "bencher") == 0
    case = "mine core forward bidirectional N=64 B=1 D=8 H=2 float32"
    assert json.loads(capfd.readouterr().out)[case]["peak_live_bytes"] == {"value": 64 * 8 * 4}
    assert call("--export", "github") == 0
    rows = json.loads(capfd.readouterr().out)
    assert {"name": f"{case} peak_live_bytes", "unit": "B", "value": 64 * 8 * 4} in rows
    # All that customSmallerIsBetter asks for, under names that tell rows apart.
    assert {tuple(map(type, (row["name"], row["unit"], row["value"]))) for row in rows} == {(str, str, int)}
    assert len({row["name"] for row in rows}) == len(rows) == 2 * len(history.UNITS) - 2
    assert len(repository("worktree", "list").splitlines()) == 1


def test_other_cases_and_another_torch_are_said(repository):
    hashes = other_commit.between("main~3", "main", flag="--bisect")
    first, last = (other_commit.described(each, flag="--bisect") for each in (hashes[0], hashes[-1]))
    assert (first.parent, last.parent) == ("", hashes[2])
    before, after = Entry(first, "2.13", {"a": {"flops": 1}}), Entry(last, "2.14", {"b": {"flops": 1}})
    (step,) = commands.steps(History("mine", (before, after)))
    assert step.lines == {"torch": ["2.13 -> 2.14"], "a": ["gone"], "b": ["new"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--record",), "expected a suite with --record"),
        (("mine.yaml",), "expected a suite with --record"),
        (("mine.yaml", "--bisect", "main"), "--bisect main: expected FIRST..LAST"),
        (("mine.yaml", "--bisect", "main..main~1"), "main is no ancestor of main~1"),
        (("mine.yaml", "--bisect", "lost..main"), "--bisect lost: no commit of "),
        ((), "counts-history.jsonl: cannot be read (No such file or directory); make it with --record"),
    ],
)
def test_a_mistake_is_one_line(repository, call, capfd, arguments, said):
    assert call(*arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line
