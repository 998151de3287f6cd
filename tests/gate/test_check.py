"""The gate: claims, answers, baselines, exit codes. Nothing here is timed."""

import json
import math
import sys

import pandas as pd
import pytest
import torch

from linrec_bench import cli
from linrec_bench.analysis.claim_verdicts import judge
from linrec_bench.analysis.intervals import Interval
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.analysis.verdict import Basis, Bound, Claim, Verdict, answer
from linrec_bench.commands import predict
from linrec_bench.execution.schedule import Ceilings
from linrec_bench.gate import baseline, baseline_verdicts, check
from linrec_bench.gate.exact_counts import count
from linrec_bench.gate.questions import contracts, questions, verdicts
from linrec_bench.gate.remeasure import Timed, doubled, in_steps, looks, settle
from linrec_bench.presentation.baseline_changes import changes
from linrec_bench.presentation.verdicts import claim_text, found_text
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import parse
from linrec_bench.suite.schema import Suite
from tests.planted import Planted

SUITE = """\
task: core
attention: [softmax, sdpa]
grid: {seq_len: [512, 1024, 2048, 4096]}
fixed: {hidden_size: 16, heads: 2}
phases: [forward]
measures: [flops, peak_memory]
"""


def prepared(text=SUITE):
    suite = parse(text, name="s.yaml", stem="s", device="cpu")
    return suite, expand(suite, device="cpu")


def verdicts_of(text):
    suite, jobs = prepared(text)
    return check.of_suite(suite, jobs, count(jobs), measure=forbidden, budget_s=0)


CONTRACTS = 10
"""Claims on the suite's two mechanisms: operations, memory, dispatches, float64 and what is left."""


def forbidden(jobs):
    raise AssertionError("an exact suite measures nothing")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.9, 1.0, "holds"),
        (1.2, 1.3, "broken"),
        (0.9, 1.2, "undecided"),
        (math.nan, math.nan, "undecided"),
        (1.05, 1.05, "holds"),
    ],
)
def test_an_interval_over_the_bound_is_undecided(low, high, expected):
    assert answer(Bound(-math.inf, 1.05, "<= 1.05"), low, high) == expected


def test_the_contracts_of_the_specs_hold_and_show_their_polynomials():
    found = verdicts_of(SUITE)
    assert [verdict.answer for verdict in found] == ["holds"] * CONTRACTS
    by_claim = {claim_text(verdict.claim): verdict for verdict in found}
    # 4 N^2 d H products for q k^T and p v with d 8 and H 2, and 5 N^2 H touches of the scores.
    assert by_claim["softmax: exponent of operations 2 as declared"].found == 2
    assert by_claim["sdpa: exponent of peak_live_bytes 1 as declared"].basis == Basis(
        "polynomial", {"polynomial": "72 N"}
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{attention: sdpa, measure: peak_memory, exponent: "<= 1.05"}', "holds"),
        ('{attention: softmax, measure: peak_memory, exponent: "<= 1.05"}', "broken"),
        ('{attention: sdpa, measure: flops, ratio: "== 1", to: softmax}', "holds"),
        ('{attention: sdpa, measure: peak_memory, ratio: "<= 0.001", to: softmax}', "broken"),
        ('{attention: sdpa, measure: flops, value: "== 1073741824", where: "seq_len=4096"}', "holds"),
    ],
)
def test_expectations_are_judged(line, expected):
    found = verdicts_of(f"{SUITE}expect:\n  - {line}\n")[CONTRACTS:]
    assert expected in {verdict.answer for verdict in found}
    assert check.exit_code(found) == {"holds": 0, "broken": 1}[expected]


def test_a_where_that_matches_nothing_and_an_unmeasured_claim_are_not_passes():
    suite, jobs = prepared(
        SUITE + 'expect: [{attention: sdpa, measure: flops, value: ">= 0", where: "seq_len=7"}]'
    )
    with pytest.raises(ValueError, match=r"expect.0.where: .* matches no case"):
        questions(suite, jobs)
    claim = Claim(attention="sdpa", measure="ndcg@10", quantity="value", bound=Bound(0, 1, "0 .. 1"))
    found = judge(claim, of_samples(count(jobs)))
    assert check.exit_code(found) == check.UNDECIDED
    assert check.exit_code([]) == check.NOTHING


def test_expectations_of_cases_that_are_left_out_are_not_asked():
    suite, jobs = prepared(
        SUITE + 'expect: [{attention: sdpa, measure: flops, value: ">= 0", where: "seq_len=4096"}]'
    )
    assert len(questions(suite, jobs)) == CONTRACTS + 1
    assert len(questions(suite, [job for job in jobs if job.case.seq_len < 4096])) == CONTRACTS


def test_only_what_is_undecided_is_measured_again_until_the_budget_is_spent():
    asked = []
    clock = iter(range(100))

    def measure(jobs):
        asked.append({(job.case.attention, job.rounds) for job in jobs})
        return pd.DataFrame()

    def verdict(text):
        return Verdict(claim=CLAIM, where={}, answer=text, found=1, low=1, high=1)

    _, jobs = prepared(SUITE.replace("[512, 1024, 2048, 4096]", "[512]"))
    answers = iter(["undecided", "undecided", "holds"])
    timed = [
        Timed(frozenset({jobs[0].case.id}), lambda _: [verdict("broken")]),
        Timed(frozenset({jobs[1].case.id}), lambda _: [verdict(next(answers))]),
    ]
    settled = settle(
        timed, jobs, is_open=check.any_undecided, measure=measure, budget_s=50, clock=lambda: next(clock)
    )
    assert [verdict.answer for (verdict,) in settled] == ["broken", "holds"]
    assert asked == [{("softmax", 5), ("sdpa", 5)}, {("sdpa", 8)}, {("sdpa", 11)}]


@pytest.mark.parametrize(
    ("rounds_at", "budget_s", "rounds"),
    [
        (in_steps, 0, [5]),
        (in_steps, math.inf, [5, 8, 11, 14, 17, 20]),
        (doubled, math.inf, [5, 10, 20, 40, 80, 160]),
    ],
)
def test_an_open_question_is_asked_a_fixed_number_of_times_and_within_the_budget(rounds_at, budget_s, rounds):
    _, (job, *_) = prepared()
    asked = []
    timed = [Timed(frozenset({job.case.id}), lambda _: "open")]
    found = settle(
        timed,
        [job],
        is_open=lambda answer: answer == "open",
        measure=lambda jobs: asked.append(jobs[0].rounds),
        budget_s=budget_s,
        rounds_at=rounds_at,
    )
    assert found == ["open"]
    assert asked == rounds
    assert looks(5) == (5, 8, 11, 14, 17, 20)


TIMED = SUITE.replace("[flops, peak_memory]", "[time, flops]").replace("[512, 1024, 2048, 4096]", "[512]")


@pytest.mark.parametrize(("noise", "written"), [(0.01, True), (0.2, False)])
def test_a_timed_baseline_is_narrow_or_is_not_written(tmp_path, noise, written):
    suite, jobs = prepared(TIMED)
    asked = []

    def measure(wanted):
        planted = Planted()
        asked.append(wanted[0].rounds)
        for job in wanted:
            planted.cost(job.case, 1.0, rounds=job.rounds, between=noise, within=0.001, drift=[1] * 20)
        return planted.frame()

    def accept():
        baseline_verdicts.accept(
            tmp_path / "b.json",
            suite,
            jobs,
            count(jobs),
            measure=measure,
            margin=lambda: 0.1,
            budget_s=math.inf,
        )

    if written:
        accept()
        (ratio,) = baseline.read(tmp_path / "b.json", torch_version=torch.__version__).ratios.values()
        assert ratio.high / ratio.low < 1.1
        return
    with pytest.raises(ValueError, match=r"not written: 1 of 1 time ratios .*; measure on a quieter") as told:
        accept()
    assert "\n" not in str(told.value)
    assert len(asked) == len(looks(5))
    assert not (tmp_path / "b.json").exists()


CLAIM = Claim(measure="time", quantity="value", bound=Bound(0, 1, "0 .. 1"))
COUNTS = {"a": {"flops": 10, "peak_live_bytes": 100}}


@pytest.mark.parametrize(
    ("now", "broken"),
    [
        (COUNTS, []),
        ({"a": {"flops": 11, "peak_live_bytes": 100}}, ["11 (accepted 10, +10.00%)"]),
        ({"a": {"flops": 10, "peak_live_bytes": 99}}, ["99 (accepted 100, -1.00%)"]),
        ({"a": {"flops": 0, "peak_live_bytes": 100}}, ["0 (accepted 10, -100.00%)"]),
        (COUNTS | {"b": {"flops": 1}}, ["1 (not in the baseline; accept with --update-baseline)"]),
        ({}, ["in the baseline and not in the suite; accept with --update-baseline"]),
    ],
)
def test_a_baseline_is_held_to_the_byte_gains_included(now, broken):
    found = baseline_verdicts.compare(now, baseline.Baseline("2.13.0", COUNTS), whole=True)
    assert [found_text(verdict) for verdict in found if verdict.answer == "broken"] == broken


def test_a_change_too_small_for_a_percentage_is_told_in_full():
    accepted = baseline.Baseline("2.13.0", {"a": {"flops": 1_000_000, "state_bytes": 0}})
    found = baseline_verdicts.compare({"a": {"flops": 999_999, "state_bytes": 4}}, accepted, whole=True)
    assert [found_text(verdict) for verdict in found] == [
        "999,999 (accepted 1,000,000, -1)",
        "4 (accepted 0, +4)",
    ]


def named(length, **counts):
    return {f"linrec core forward causal N={length} B=1 D=8 H=2 float32": counts}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (lambda n: 8706 * n, lambda n: 8770 * n, "8,706 N -> 8,770 N, +0.74%, exponent unchanged"),
        (lambda n: 10 * n, lambda n: 10 * n + n * n, "10 N -> 1 N^2 + 10 N, x26.6, exponent 1 -> 1.95"),
        (lambda n: 4, lambda n: 4 if n < 256 else 5, "4 -> 5 at N = 256, +25.00%, exponent 0 -> 0.322"),
        (lambda n: 0, lambda n: 7, "0 -> 7, +7"),
    ],
)
def test_changes_are_told_together_for_all_lengths(before, now, said):
    lengths = (32, 64, 128, 256)
    accepted, current = ({}, {})
    for n in lengths:
        accepted |= named(n, flops=before(n), saved_bytes=3)
        current |= named(n, flops=now(n), saved_bytes=3)
    found = baseline_verdicts.compare(current, baseline.Baseline("2.13.0", accepted), whole=True)
    assert changes(found) == {"linrec core forward causal B=1 D=8 H=2 float32": [f"flops: {said}"]}


def test_a_file_holds_several_releases_of_torch(tmp_path):
    path = tmp_path / "b.json"
    older, newer = baseline.Baseline("2.12.1", COUNTS), baseline.Baseline("2.13.0", {"a": {"flops": 11}})
    for each in (baseline.Baseline("2.12.0", {}), newer, older):
        baseline.write(path, each)
    assert baseline.read(path, torch_version="2.12.3") == older
    assert baseline.read(path, torch_version="2.13.0+cpu") == newer
    with pytest.raises(ValueError, match=r"counted with torch 2.12.1, 2.13.0, this is torch 2.14.0"):
        baseline.read(path, torch_version="2.14.0")


def test_a_selection_of_the_suite_does_not_miss_the_other_cases():
    assert baseline_verdicts.compare({}, baseline.Baseline("2.13.0", COUNTS), whole=False) == []


def test_a_baseline_comes_back_with_its_ratios(tmp_path):
    path = tmp_path / "b.json"
    ratio = Interval(1.5, 1.4, 1.6, 3, "rounds")
    baseline.write(path, baseline.Baseline("2.13.0", COUNTS, {"a": ratio}))
    found = baseline.read(path, torch_version="2.13.1+cpu")
    assert (found.counts, found.ratios) == (COUNTS, {"a": ratio})
    assert baseline_verdicts.compare_time("a", ratio, found, margin=0.25).answer == "holds"
    slower = Interval(3.0, 2.9, 3.1, 3, "rounds")
    assert baseline_verdicts.compare_time("a", slower, found, margin=0.25).answer == "broken"
    assert baseline_verdicts.compare_time("b", ratio, found, margin=0.25).answer == "broken"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid JSON"),
        ('{"schema_version": 9}', "schema_version is 9; expected 1"),
        ('{"schema_version": 1, "torch": "2.11.0", "counts": {}}', "counted with torch 2.11.0"),
        ("[]", "schema_version is None; expected 1"),
        ('{"schema_version": 1, "counts": {}}', "torch: Field required"),
        ('{"schema_version": 1, "torch": "2.13.0", "counts": {"a": 3}}', "counts.a: "),
        ('{"schema_version": 1, "torch": "2.13.0", "counts": {}, "ratios": {"a": {}}}', "ratios.a.value: "),
    ],
)
def test_a_foreign_baseline_is_named_with_what_to_do(tmp_path, content, expected):
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=expected) as caught:
        baseline.read(path, torch_version="2.13.0")
    assert "--update-baseline" in str(caught.value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SUITE)
    return tmp_path


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["linrec-bench", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0


def test_the_exit_codes_of_the_command(folder, monkeypatch, capfd):
    run = ("check", "s.yaml", "--device", "cpu")
    assert call(monkeypatch, *run) == 0
    assert f"{CONTRACTS} holds, 0 broken, 0 undecided" in capfd.readouterr().out
    assert call(monkeypatch, *run, "--only", "attention=nobody") == 4
    assert call(monkeypatch, *run, "--only", "seq_len=512") == 4
    assert call(monkeypatch, *run, "--baseline", "absent.json") == 2
    assert "--update-baseline" in capfd.readouterr().err
    assert call(monkeypatch, *run, "--update-baseline") == 2
    (folder / "t.yaml").write_text(TIMED)
    timed = ("check", "t.yaml", "--device", "cpu", "--baseline", "b.json", "--timed", "--update-baseline")
    assert call(monkeypatch, *timed) == 2
    assert (
        "no margin of this machine is known; make it with `linrec-bench calibrate t`"
        in capfd.readouterr().err
    )
    bad = 'expect: [{attention: softmax, measure: peak_memory, exponent: "<= 1"}]'
    (folder / "s.yaml").write_text(SUITE + bad)
    assert call(monkeypatch, *run) == 1
    assert "broken: softmax: exponent of peak_memory <= 1" in capfd.readouterr().out
    (folder / "s.yaml").write_text(SUITE + bad.replace("<= 1", "<== 1"))
    assert call(monkeypatch, *run) == 2
    assert "s.yaml:7" in capfd.readouterr().err


def test_a_baseline_is_made_held_and_reported(folder, monkeypatch, capfd):
    run = ("check", "s.yaml", "--device", "cpu", "--baseline", "b.json")
    assert call(monkeypatch, *run, "--update-baseline") == 0
    text = (folder / "b.json").read_text()
    capfd.readouterr()
    assert call(monkeypatch, *run, "--json", "--junit", "j.xml") == 0
    records = json.loads(capfd.readouterr().out)
    # Then four counts of each of the eight cases.
    assert len(records) == CONTRACTS + 4 * 8
    assert {record["answer"] for record in records} == {"holds"}
    assert "<failure" not in (folder / "j.xml").read_text()
    (folder / "b.json").write_text(text.replace('"flops": ', '"flops": 1', 1))
    assert call(monkeypatch, *run, "--junit", "j.xml") == 1
    printed = capfd.readouterr().out
    assert printed.startswith(
        "broken: sdpa core forward bidirectional B=1 D=16 H=2 float32: counts as in the"
    )
    assert call(monkeypatch, *run, "--update-baseline") == 0
    # The same difference, as it is accepted.
    line = next(line.strip() for line in printed.splitlines() if "flops: " in line)
    assert line in capfd.readouterr().err
    assert (folder / "b.json").read_text() == text
    assert "<failure" in (folder / "j.xml").read_text()


def test_nothing_to_check_is_told_to_programs_too(folder, monkeypatch, capfd):
    run = ("check", "s.yaml", "--device", "cpu", "--only", "attention=nobody", "--json", "--junit", "j.xml")
    assert call(monkeypatch, *run) == 4
    said = capfd.readouterr()
    assert json.loads(said.out) == []
    assert "nothing to check: " in said.err
    assert "<error" in (folder / "j.xml").read_text()


@pytest.mark.parametrize(
    "written", [("--junit", "no/j.xml"), ("--baseline", "no/b.json", "--update-baseline")]
)
def test_a_file_that_cannot_be_written_is_one_line(folder, monkeypatch, capfd, written):
    assert call(monkeypatch, "check", "s.yaml", "--device", "cpu", *written) == 2
    said = capfd.readouterr().err.splitlines()
    assert [written[1] in line and "cannot be written" in line for line in said] == [True]


def test_in_actions_there_are_annotations_and_a_summary(folder, monkeypatch, capfd):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    (folder / "s.yaml").write_text(
        SUITE + 'expect: [{attention: softmax, measure: peak_memory, exponent: "<= 1"}]'
    )
    assert call(monkeypatch, "check", "s.yaml", "--device", "cpu") == 1
    assert "::error" in capfd.readouterr().err
    assert "softmax" in (folder / "summary.md").read_text()


@pytest.mark.slow
def test_predict_says_what_does_not_fit(folder, monkeypatch, capfd):
    arguments = ("predict", "s.yaml", "--device", "cpu", "--memory", "32MiB")
    assert call(monkeypatch, *arguments) == 0
    *table, said = capfd.readouterr().out.splitlines()
    assert said == "3 of 8 cases do not fit 32.0 MiB; nothing was run"
    assert [line.split()[0] for line in table if line.split()[-1] == "no"] == ["softmax"] * 3
    # The same again, but for the ceilings of this machine, which take most of the time.
    monkeypatch.setattr(
        predict, "measure_ceilings", lambda *_: Ceilings(copy_bandwidth=1e10, matmul_rate=1e11)
    )
    assert call(monkeypatch, *arguments, "--json") == 0
    found = json.loads(capfd.readouterr().out)
    fits = {(each["attention"], each["seq_len"]): each["fits"] for each in found}
    assert fits["sdpa", 4096] is True
    assert fits["softmax", 4096] is False
    assert all(each["least_time_s"] > 0 for each in found)
    assert call(monkeypatch, "predict", "s.yaml", "--memory", "lots") == 2
    assert "--memory: 'lots' is no amount" in capfd.readouterr().err


def test_verify_exits_with_1_for_a_contradiction_and_names_it(folder, monkeypatch, capfd):
    assert call(monkeypatch, "verify", "copy") == 0
    assert call(monkeypatch, "verify", "linrec(padding=ignore)") == 1
    assert "pad content" in capfd.readouterr().out
    assert call(monkeypatch, "verify", "linrecc") == 2
    assert call(monkeypatch, "verify", "linrec(padding=zero)") == 2


def test_lengths_too_short_for_a_declared_exponent_are_no_alarm():
    """At these lengths linrec is cut into one block or a few, so that its peak follows no polynomial yet."""
    sweep = {
        "task": "core",
        "attention": ["linrec"],
        "grid": {"seq_len": [256, 512, 1024, 2048]},
        "fixed": {"hidden_size": 64},
    }
    jobs = expand(Suite.model_validate({"name": "short", "sweeps": [sweep]}), device="cpu")
    found = verdicts(contracts(jobs), of_samples(count(jobs)))
    peaks = [verdict for verdict in found if verdict.claim.measure == "peak_live_bytes"]
    assert min(verdict.found for verdict in peaks) < 0.95
    assert {verdict.answer for verdict in found} == {"holds"}
