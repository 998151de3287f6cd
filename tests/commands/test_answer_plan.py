"""The plan of `answer`: suites for a log and a budget, from planted seconds."""

from concurrent.futures import Future

import numpy as np
import pytest

from linrec_bench.commands import answer_plan
from linrec_bench.commands.answer_plan import Answer, files_of, planned, size_of
from linrec_bench.commands.answer_probe import Probe, probe
from linrec_bench.commands.answer_suites import LINEAR, SOFTMAX, Log, cost_text, log_of, quality_text
from linrec_bench.commands.describe_log import described
from linrec_bench.execution.devices import ON_CPU
from linrec_bench.execution.trial import Sample, TrialResult
from linrec_bench.terminal.answer_plan import notes

PROBE = Probe(start_s=1.0, epoch_s=2.0, rank_s=0.0)


def log(lengths=(50,) * 1000, *, dataset=None, items=100, repeats=False, name="events"):
    dataset = {"name": "synthetic", "users": 20} if dataset is None else dataset
    return Log(name=name, dataset=dataset, items=items, lengths=np.array(lengths), repeats=repeats)


def test_windows_hold_nine_of_ten_histories_and_epochs_have_about_fifty_steps():
    found = log([7] * 900 + [35] * 99 + [4000])
    assert found.window == 10
    assert found.rows == 900 + 99 * 4 + 400
    assert found.batch_size == 32
    assert found.steps == 53
    assert log([4000] * 10).window == 1000
    assert log([4000] * 10_000).batch_size == 8


def test_a_budget_becomes_epochs_in_three_seeds_or_more():
    def size(minutes, beside_s=0.0):
        return size_of(log(), PROBE, PROBE, 60 * minutes, beside_s=beside_s)

    # 1,000 rows in batches of 16 are 63 steps an epoch: 32 epochs of 2 s and the start are 65 s a training.
    assert log().steps == 63
    assert (size(60).seeds, size(60).epochs, size(60).seconds) == (10, 32, 10 * 5 * 65.0)
    assert (size(20).seeds, size(20).epochs) == (3, 32)
    assert (size(10).seeds, size(10).epochs, size(10).seconds) == (3, 19, 3 * 5 * 39.0)
    assert size(10, beside_s=60).epochs == 17
    assert size(10, beside_s=60).wanted_s == 3 * 5 * 65.0 + 60
    with pytest.raises(
        ValueError, match=r"--budget 60 s is too short: 3 seeds .* need about 75 s at the speed of now"
    ):
        size(1)


class _Ending:
    """An executor whose trials end as told."""

    def __init__(self, status, *samples):
        self.result = TrialResult(
            status=status, seconds=60, samples=tuple(Sample(measure=m, value=v, unit="s") for m, v in samples)
        )

    def submit(self, trial):
        self.limit_s, future = trial.seconds, Future()
        future.set_result(self.result)
        return future


def test_one_epoch_is_measured_within_a_tenth_of_the_budget(monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (6.12, 0, 0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    job = planned("a.yaml", quality_text(log(), seeds=1, epochs=1), ON_CPU).jobs[0]

    def found(status, *samples):
        return probe(_Ending(status, *samples), log(), job, budget_s=720)

    assert found("ok", ("epoch_time", 20), ("test_time", 10)) == Probe(start_s=20, epoch_s=20, rank_s=10)
    advice = (
        r" after 72 s \(load average 6\.1 on 2 processors\): too long for --budget 12 min; expected a longer "
        "--budget, fewer users and items, .*, or a machine that does nothing else"
    )
    epoch = r"one epoch of sdpa \(1,000 windows in 63 steps\) "
    with pytest.raises(ValueError, match=f"{epoch}had not ended{advice}"):
        found("timeout")
    ranking = "took 50 s, and ranking for 1,000 users had not ended"
    with pytest.raises(ValueError, match=f"{epoch}{ranking}{advice}"):
        found("timeout", ("epoch_time", 50))
    with pytest.raises(ValueError, match=f"{epoch}ended as oom"):
        found("oom")


def test_the_suites_are_those_of_the_log():
    own = log([30] * 900 + [700], repeats=True, items=50_000)
    quality = planned("events-quality.yaml", quality_text(own, seeds=3, epochs=40), ON_CPU)
    assert quality.suite.name == "events-quality"
    trained, counted = quality.suite.sweeps
    assert [each.name for each in trained.attention][:2] == [SOFTMAX, LINEAR[0]]
    assert trained.grid.seed == (0, 1, 2)
    assert (trained.training.epochs, trained.training.validate_every) == (40, 2)
    assert trained.training.budget_seconds is None
    # Who comes back to an item may be asked for it again; and a large catalogue is sampled.
    assert trained.evaluation.exclude_seen is False
    assert trained.training.loss == "sampled_softmax"
    assert counted.model.name == "popularity"
    cost = planned("events-cost.yaml", cost_text(own, "cpu", rounds=4), ON_CPU)
    layer, step, decode = cost.suite.sweeps
    assert layer.grid.seq_len[-1] == 2048
    assert max(decode.grid.seq_len) == 2048
    assert step.fixed.lengths.dataset == "synthetic"
    assert step.grid.seq_len == (7, 15, 30)
    assert {job.rounds for job in cost.jobs} == {4}


def test_lengths_to_measure_go_beyond_the_longest_history():
    suite = planned("a.yaml", cost_text(log([20] * 99 + [5000]), "cpu", rounds=3), ON_CPU).suite
    assert suite.sweeps[0].grid.seq_len[-1] == 16_384
    assert suite.sweeps[2].grid.seq_len == (32, 8192, 16_384)


def answer(own, tmp_path, size=None):
    files = files_of(own, tmp_path)
    texts = {"quality": quality_text(own, seeds=3, epochs=10), "cost": cost_text(own, "cpu", rounds=3)}
    plans = {kind: planned(str(files[kind]), text, ON_CPU) for kind, text in texts.items()}
    return Answer(log=own, texts=texts, plans=plans, seconds={}, size=size), files


def test_files_that_are_there_are_kept_and_belong_to_one_log(tmp_path):
    own = log()
    first, files = answer(own, tmp_path)
    assert answer_plan.existing(own, files, ON_CPU) is None
    answer_plan.write(first, files)
    files["quality"].write_text(first.texts["quality"].replace("epochs: 10", "epochs: 11"))
    answer_plan.write(first, files)
    found = answer_plan.existing(own, files, ON_CPU)
    assert found.plans["quality"].suite.sweeps[0].training.epochs == 11
    other = log(dataset={"name": "csv", "path": "elsewhere/events.csv"})
    with pytest.raises(
        ValueError, match=r"quality\.yaml: trains on synthetic and not on elsewhere/events\.csv"
    ):
        answer_plan.existing(other, files, ON_CPU)


def test_notes_say_what_is_too_small(tmp_path):
    size = size_of(log(), PROBE, PROBE, 600, beside_s=0)
    (short,) = notes(answer(log(), tmp_path, size)[0])
    assert short.startswith("630 of the 2,000 training steps")
    assert short.endswith("--budget 16min makes all")
    few, _ = notes(answer(log([50] * 100), tmp_path, size)[0])
    assert few.startswith(
        "a small log: with 100 users no number of seeds shows a difference in NDCG@10 below"
    )


def test_names_defaults_and_repeats_come_from_what_was_read():
    params = {"users": 40, "length": 40, "items": 20_000}
    found = log_of("logs/My log.v2.csv", described("synthetic", params, sniffed=None))
    assert found.name == "My-log"
    assert found.dataset == {"name": "synthetic", "users": 40, "items": 20_000}
    assert found.repeats is False
    again = log_of("x", described("synthetic", {"users": 40, "items": 10}, sniffed=None))
    assert again.repeats is True


def test_a_log_without_histories_of_three_events_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path))
    file = tmp_path / "log.csv"
    file.write_text("user_id,item_id,timestamp\na,x,1\nb,x,2\na,y,3\n")
    read = described("csv", {"path": str(file), "min_interactions": 1}, sniffed=None)
    with pytest.raises(ValueError, match=r"log\.csv: too small: 0 users have the three events"):
        log_of(str(file), read)
