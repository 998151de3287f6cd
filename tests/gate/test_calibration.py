"""Calibration with planted samples instead of a machine, and its file."""

import json
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from linrec_bench.analysis.power import tally
from linrec_bench.execution.schedule import Prediction
from linrec_bench.execution.trial import Sample, TrialResult
from linrec_bench.execution.worker import predict
from linrec_bench.gate import calibration as module
from linrec_bench.gate.calibration import Calibration, calibrate, own_pairs, read, write

NOW = datetime(2026, 1, 2, 3, 4, 5)
ENVIRONMENT = {
    "machine": {"cores": 2},
    "device": {"kind": "cpu"},
    "threads": 2,
    "allocator": {},
    "fingerprint": "f" * 12,
}


def ended(result):
    future = Future()
    future.set_result(result)
    return future


class PlantedMachine:
    """An executor whose trials take known times, with 2 % of noise between processes."""

    def __init__(self, status="ok"):
        self.rng = np.random.default_rng(0)
        self.trials = []
        self.status = status

    slots = 1

    def submit(self, trial):
        job, round = trial.work.args
        self.trials.append((round, job.case.attention, job.case.seq_len))
        process = job.case.seq_len * 1e-6 * self.rng.lognormal(0, 0.02)
        samples = [
            Sample(measure="time", value=float(value), unit="s", repeat=repeat)
            for repeat, value in enumerate(process * self.rng.lognormal(0, 0.01, 5))
        ]
        samples.append(Sample(measure="first_call_time", value=99.0, unit="s"))
        return ended(TrialResult(status=self.status, detail="no reason", samples=tuple(samples)))

    def call(self, function, case):
        assert function is predict
        return ended(Prediction(flops=case.seq_len, operations=1, peak_live_bytes=4 * case.seq_len))


def planted(executor=None, **more):
    settings = {"rounds": 8, "draws": 4} | more
    pairs = own_pairs("cpu", (16, 32))
    return calibrate(executor or PlantedMachine(), pairs, environment=ENVIRONMENT, now=NOW, **settings)


@pytest.fixture(scope="module")
def calibration():
    return planted()


def test_every_case_is_measured_in_every_round_and_rounds_are_interleaved():
    executor = PlantedMachine()
    told = []
    planted(executor, on_trial=lambda done, total: told.append((done, total)))
    assert len(set(executor.trials)) == len(executor.trials) == 2 * 2 * 8
    assert [round for round, *_ in executor.trials] == sorted(round for round, *_ in executor.trials)
    assert told[0] == (1, 32)
    assert told[-1] == (32, 32)


def test_only_times_are_collected_each_under_its_case_and_round():
    jobs = [replace(job, rounds=3) for pair in own_pairs("cpu", (16, 32)) for job in pair]
    found = module.collect(jobs, PlantedMachine(), lambda *_: None)
    assert set(found) == {job.case.id for job in jobs}
    for job in jobs:
        rounds = found[job.case.id]
        assert sorted(rounds) == [0, 1, 2]
        for samples in rounds.values():
            assert samples.tolist() == pytest.approx([job.case.seq_len * 1e-6] * 5, rel=0.2)


def test_few_draws_show_no_margin(calibration):
    # Four without an alarm do not show a rate below 1 %.
    assert calibration.margins["time"] is None
    (same,) = (found for found in calibration.timed if found.effect == "none")
    assert (same.margin, same.holds) == (0.5, 4)


def test_exact_counts_never_alarm_and_doubled_memory_always_does(calibration):
    same, doubled = calibration.exact
    assert (same.effect, same.broken, same.holds) == ("none", 0, module.RECOUNTS)
    assert (doubled.effect, doubled.broken, doubled.holds) == ("doubled memory", module.RECOUNTS, 0)
    assert calibration.margins["peak_live_bytes"] == 0


def test_what_was_measured_where_and_when_is_in_the_file(tmp_path, calibration):
    path = tmp_path / "calibration.json"
    write(path, calibration)
    assert read(path) == calibration
    assert [p.name for p in tmp_path.iterdir()] == ["calibration.json"]
    content = json.loads(path.read_text())
    assert content["made"] == "2026-01-02T03:04:05"
    assert content["machine"] == {k: v for k, v in ENVIRONMENT.items() if k != "fingerprint"}
    assert content["lines"] == [
        f"linrec layer forward bidirectional N={n} B=1 D=64 H=2 float32 / softmax" for n in (16, 32)
    ]
    assert content["looks"] == [5, 8, 11, 14, 17, 20]


def test_another_machine_is_told_by_what_differs(calibration):
    assert calibration.differs(ENVIRONMENT) == []
    assert calibration.differs(ENVIRONMENT | {"threads": 8, "fingerprint": "other code"}) == ["threads"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 1}, "schema_version: Input should be 2"),
        ({"margins": {"time": "wide"}}, "margins.time: Input should be a valid number"),
        ({"timed": [{}]}, "timed.0.effect: Field required"),
    ],
)
def test_a_file_of_another_schema_is_named_with_what_to_do(tmp_path, calibration, change, said):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(json.loads(calibration.to_json()) | change))
    with pytest.raises(ValueError, match="make it anew with linrec-bench calibrate") as caught:
        read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "not json"])
def test_no_json_is_a_schema_problem_too(text):
    with pytest.raises(ValueError, match="the file: "):
        Calibration.from_json(text)


def test_an_absent_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read .*; make it with linrec-bench calibrate"):
        read(tmp_path / "absent.json")


def test_a_trial_that_fails_ends_the_calibration():
    with pytest.raises(ValueError, match="ended as oom: no reason"):
        planted(PlantedMachine(status="oom"))


def test_without_a_margin_the_widest_is_shown(calibration):
    assert {row["margin"] for row in calibration.entries()} == {"50%", "0%"}
    with_margin = replace(
        calibration,
        margins=calibration.margins | {"time": 0.1},
        timed=(*calibration.timed, tally("more", 0.1, ["holds"])),
    )
    assert "more" in {row["planted"] for row in with_margin.entries()}
