"""Quality lines of `expect:`, judged by the command from a stored run with planted NDCG."""

import json

import pandas as pd
import pytest

from linrec_bench import cli
from linrec_bench.gate import check
from linrec_bench.results.case_table import text_of
from linrec_bench.results.rows import COLUMNS, TRIAL, row_of
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand

SUITE = """\
task: recommend
attention: [softmax, linrec]
model: {name: sasrec, dropout: 0.1}
dataset: synthetic
grid: {seed: [0, 1, 2]}
fixed: {seq_len: 50, causal: true}
expect:
"""
# In mean 0.171 and 0.151: linrec loses 0.020 +- 0.0025 (t of two degrees of freedom, 4.303 * 0.001 / sqrt 3).
NDCG = {"softmax": (0.170, 0.171, 0.172), "linrec": (0.151, 0.151, 0.151)}


@pytest.fixture
def judged(tmp_path, monkeypatch, capfd):
    """Writes the suite and a run of it that holds so many seeds, and asks the command."""

    def ask(line, *, seeds=3):
        suite, run = tmp_path / "s.yaml", tmp_path / "run"
        suite.write_text(f"{SUITE}  - {{{line}}}\n")
        loaded = load.load(suite, device="cpu")
        rows = []
        for case in (job.case for job in expand(loaded, device="cpu") if job.case.seed < seeds):
            for measure, value, unit, phase in (
                # Neither the epochs on validation nor a group of the test queries is what a line is about.
                ("ndcg@10", 0.01, "1", "validation"),
                ("ndcg@10", 0.02, "1", "validation"),
                ("ndcg@10", NDCG[case.attention][case.seed], "1", "test"),
                ("ndcg@10", 0.9, "1", case.phase),
                ("peak_process_bytes", 3e8 if case.attention == "softmax" else 2e8, "B", case.phase),
                (TRIAL, 1.0, "s", case.phase),
            ):
                rows.append(
                    row_of(case, run_id="r", suite="s", measure=measure, value=value, unit=unit, phase=phase)
                )
        run.mkdir()
        samples = pd.DataFrame([row.as_dict() for row in rows], columns=list(COLUMNS))
        samples.to_csv(run / "samples.csv", index=False)
        cases = [job.case for job in expand(loaded, device="cpu")]
        (run / "cases.jsonl").write_text(text_of(cases))
        (run / "suite.yaml").write_text(load.resolved_text(loaded))
        (run / "environment.json").write_text(json.dumps({"schema_version": 2, "device": {"kind": "cpu"}}))
        arguments = ("check", suite, "--from", run, "--all", "--device", "cpu")
        monkeypatch.setattr("sys.argv", ["linrec-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capfd.readouterr().out

    return ask


LOSS = "attention: linrec, measure: ndcg@10, to: softmax, difference"
MEAN = "attention: softmax, measure: ndcg@10, value"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (
            f'{LOSS}: ">= -0.05"',
            check.HOLDS,
            "found difference of NDCG@10 -0.0200 [-0.0225, -0.0175] (3 seeds, paired)",
        ),
        (
            f'{LOSS}: ">= -0.01"',
            check.BROKEN,
            "found difference of NDCG@10 -0.0200 [-0.0225, -0.0175] (3 seeds, paired)",
        ),
        (
            f'{LOSS}: ">= -0.021"',
            check.UNDECIDED,
            "found difference of NDCG@10 -0.0200 [-0.0225, -0.0175] (3 seeds, paired)",
        ),
        (f'{MEAN}: ">= 0.16"', check.HOLDS, "found NDCG@10 0.171 [0.169, 0.173] (3 seeds)"),
        (f'{MEAN}: ">= 0.18"', check.BROKEN, "found NDCG@10 0.171 [0.169, 0.173] (3 seeds)"),
        (f'{MEAN}: "0.17 .. 0.18"', check.UNDECIDED, "found NDCG@10 0.171 [0.169, 0.173] (3 seeds)"),
    ],
)
def test_the_interval_over_seeds_decides(judged, line, code, said):
    answered, text = judged(line)
    assert answered == code
    assert said in text
    assert text.startswith({check.HOLDS: "holds: ", check.BROKEN: "broken: "}.get(code, "undecided: "))


def test_the_memory_of_a_training_is_that_of_its_process(judged):
    code, text = judged('attention: linrec, measure: peak_memory, to: softmax, ratio: "<= 0.7"')
    assert code == check.HOLDS
    assert "found ratio of peak memory 0.667 (3 seeds, paired)" in text


def test_a_single_seed_decides_no_difference(judged):
    code, text = judged(f'{LOSS}: ">= -0.05"', seeds=1)
    assert code == check.UNDECIDED
    assert "found difference of NDCG@10 -0.0190 (ndcg@10: two seeds or more are needed)" in text


def test_a_run_without_the_measure_is_no_pass(judged):
    code, text = judged('attention: linrec, measure: recall@10, value: ">= 0"')
    assert code == check.UNDECIDED
    assert "no recall@10" in text
