"""`check --against COMMIT`: instructions of the processor and times of two commits, beside exact counts."""

import json
import os
from pathlib import Path

import pytest

from linrec_bench.commands import paired_times, serve_trials
from linrec_bench.gate import instructions
from linrec_bench.gate.baseline import name_of
from linrec_bench.gate.other_commit import Tree
from linrec_bench.presentation.baseline_changes import changes
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import parse

SUITE = """\
task: core
attention: [softmax]
grid: {seq_len: [8, 16, 32, 64]}
fixed: {hidden_size: 16, heads: 2}
phases: [forward]
measures: [time]
rounds: 3
"""

SERVER = """
import json, pathlib, sys
plan = json.loads(pathlib.Path("plan.json").read_text())
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    with open("../asked", "a") as file:
        file.write(f"{pathlib.Path().resolve().name} {asked['case'].split(' ')[4]} {asked['round']}\\n")
    answer = plan[asked["case"]]
    if answer == "dead":
        sys.exit("Traceback\\nOSError: no room")
    if isinstance(answer, str):
        answer = {"status": answer, "detail": "why", "times": []}
    else:
        answer = {"status": "ok", "detail": "", "times": [answer * (1 + asked["round"])] * 3}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def timed(tmp_path, monkeypatch):
    """Verdicts on times at four lengths, which a script says in place of trials; sides of a case, in turn."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    monkeypatch.setattr(serve_trials, "__file__", str(script))
    jobs = expand(parse(SUITE, name="s.yaml", stem="s", device="cpu"), device="cpu")

    def run(now, before):
        for side, answers in (("now", now), ("before", before)):
            (tmp_path / side).mkdir()
            plan = {name_of(job.case): answer for job, answer in zip(jobs, answers, strict=True)}
            (tmp_path / side / "plan.json").write_text(json.dumps(plan))
        monkeypatch.chdir(tmp_path / "now")
        tree = Tree(tmp_path / "before", (), "--against main")
        found = paired_times.verdicts(jobs, "s.yaml", "cpu", [], [], tree, margin=0.1, budget_s=60)
        asked = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
        return found, [side for side, case, _ in asked if case == "N=8"]

    return run


def test_times_are_measured_in_turn_and_slower_by_more_than_the_margin_is_broken(timed):
    found, turns = timed([1.3, 1.0, 0.5, 1.05], [1.0, 1.0, 1.0, 1.0])
    assert [verdict.answer for verdict in found] == ["broken", "holds", "holds", "holds"]
    assert found[0].found == pytest.approx(1.3)
    assert turns == ["before", "now", "now", "before", "before", "now"]


def test_what_cannot_be_timed_is_undecided_and_what_nobody_can_do_is_no_claim(timed):
    found, turns = timed(["timeout", "unsupported", 1.0, 1.0], [1.0, "unsupported", "not in the suite", 1.0])
    assert [verdict.answer for verdict in found] == ["undecided", "holds"]
    assert found[0].basis.facts == {"measure": "time", "status": "timeout", "detail": "why (now)"}
    assert turns == ["before", "now"]


def test_a_side_that_cannot_run_is_one_line(timed):
    with pytest.raises(ValueError, match=r"^--timed: --against main: trials cannot run: OSError: no room$"):
        timed([1.0] * 4, ["dead"] * 4)


VALGRIND = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --callgrind-out-file=*) files=${1#*=} ;;
        --begin) begin=$2 ;;
        broken.py) echo first >&2; echo no such plugin >&2; exit 2 ;;
    esac
    shift
done
echo ready
until [ -e "$begin" ]; do :; done
echo '{"part": 1}'; echo '{"error": "ValueError: b"}'; echo '{"part": 2}'
printf 'version: 1\\nsummary: 1\\n\\ntotals: 1000\\n' > "$files.1"
printf 'events: Ir\\ntotals: 2000\\n' > "$files.2"
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts programs in the place of valgrind's."""

    def put(**texts):
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return put


def counted(plugins=()):
    jobs = expand(parse(SUITE, name="s.yaml", stem="s", device="cpu"), device="cpu")
    return instructions.counted([job.case for job in jobs[:3]], plugins, Path(), os.environ)


def test_instructions_are_those_of_the_parts_that_valgrind_writes(programs):
    programs(valgrind=VALGRIND, vgdb="#!/bin/sh\nexit 0\n")
    assert counted() == [1000, "ValueError: b", 2000]


def test_calls_that_fail_under_valgrind_are_one_line(programs):
    programs(valgrind="#!/bin/sh\necho first >&2; echo no torch >&2; exit 2\n")
    with pytest.raises(ValueError, match=r"^--instructions: calls under valgrind failed: no torch$"):
        counted()
    programs(valgrind=VALGRIND, vgdb="#!/bin/sh\necho no process >&2; exit 1\n")
    with pytest.raises(ValueError, match=r"^--instructions: valgrind takes no command: no process$"):
        counted()


@pytest.mark.parametrize(
    ("now", "answer"), [(1010, "holds"), (1011, "broken"), (500, "holds"), ("ValueError: b", "undecided")]
)
def test_more_than_a_percent_more_instructions_is_broken(now, answer):
    found = instructions.verdict("a N=257", now, 1000)
    assert found.answer == answer
    assert changes([found]) == (
        {"a": ["instructions: 1,000 -> 1,011 at N = 257, +1.10%"]} if answer == "broken" else {}
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--instructions",), "expected --against COMMIT beside it"),
        (("--instructions", "--against", "HEAD"), "valgrind is not installed; install it"),
        (("--timed", "--against", "HEAD"), "no case of s.yaml measures time; expected time among"),
    ],
)
def test_what_is_missing_is_one_line_before_anything_is_counted(
    tmp_path, monkeypatch, exit_code, capfd, options, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    Path("s.yaml").write_text(SUITE.replace("[time]", "[flops]"))
    assert exit_code("check", "s.yaml", "--device", "cpu", *options) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line
