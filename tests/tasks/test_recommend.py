import dataclasses

import numpy as np
import pytest
import torch

from linrec_bench import data
from linrec_bench.case import Case, freeze
from linrec_bench.data.splits import leave_one_out
from linrec_bench.tasks import recommend
from linrec_bench.training.evaluate import evaluate

DATASET = {"users": 120, "items": 40, "length": 14, "distance": 2, "noise": 0.0}
TRAINING = {"epochs": 8, "learning_rate": 0.01}


def case(**fields) -> Case:
    defaults = {
        "task": "recommend",
        "phase": "train_and_rank",
        "attention": "softmax",
        "model": "sasrec",
        "model_params": freeze({"dropout": 0.0}),
        "dataset": "synthetic",
        "dataset_params": freeze(DATASET),
        "seq_len": 16,
        "batch_size": 32,
        "hidden_size": 32,
        "heads": 2,
        "layers": 2,
        "causal": True,
        "training": freeze(TRAINING),
        "evaluation": freeze({"k": [1, 5], "exclude_seen": False}),
    }
    return Case(**{**defaults, **fields})


@dataclasses.dataclass(frozen=True)
class Said:
    measure: str
    value: float
    unit: str
    phase: str
    repeat: int
    detail: str


def run(given: Case) -> list[Said]:
    said: list[Said] = []

    def emit(measure, value, unit, *, phase="", repeat=0, detail=""):
        said.append(Said(measure, value, unit, phase, repeat, detail))

    recommend.run(given, emit)
    return said


def final(said: list[Said]) -> dict[str, float]:
    return {row.measure: row.value for row in said if row.phase == "test"}


@pytest.fixture(scope="module")
def softmax() -> list[Said]:
    return run(case())


def test_a_mechanism_that_looks_back_beats_one_that_does_not(softmax):
    copy = final(run(case(attention="copy")))
    # The current item says nothing about the next one: whoever sees it alone hits 5 of 40 by chance.
    assert copy["recall@5"] < 0.3
    assert final(softmax)["recall@5"] > 0.6


def test_every_epoch_is_reported(softmax):
    for measure, unit, phase in (
        ("train_loss", "nat", ""),
        ("epoch_time", "s", ""),
        ("recall@1", "1", "validation"),
        ("ndcg@5", "1", "validation"),
        ("ndcg@10", "1", "validation"),
    ):
        rows = [row for row in softmax if row.measure == measure and row.phase == phase]
        assert [row.repeat for row in rows] == list(range(1, 9)), measure
        assert {row.unit for row in rows} == {unit}


def test_the_test_is_reported_once_with_its_protocol(softmax):
    rows = [row for row in softmax if row.phase == "test"]
    assert sorted(row.measure for row in rows) == sorted(
        f"{name}@{k}" for name in ("recall", "ndcg", "mrr") for k in (1, 5)
    )
    assert {row.detail for row in rows} == {
        "whole catalogue, seen included, leave-one-out, 120 queries (0 left out), "
        "best of validation ndcg@10, stopped by epochs"
    }


def test_validation_chooses_and_test_is_asked_once(monkeypatch):
    asked = []

    def remembered(model, queries, **options):
        asked.append(queries)
        return evaluate(model, queries, **options)

    monkeypatch.setattr(recommend, "evaluate", remembered)
    run(case(training=freeze({"epochs": 2})))
    split = leave_one_out(data.load("synthetic", **DATASET))
    for found, expected in zip(asked, (split.validation, split.validation, split.test), strict=True):
        np.testing.assert_array_equal(found.targets, expected.targets)
    assert not np.array_equal(split.validation.targets, split.test.targets)


def test_costs_are_reported(softmax):
    values = {row.measure: row.value for row in softmax}
    validation = {
        row.repeat: row.value for row in softmax if (row.measure, row.phase) == ("ndcg@10", "validation")
    }
    assert values["best_epoch"] == max(validation, key=lambda epoch: validation[epoch])
    assert values["epochs"] == 8
    epoch_times = [row.value for row in softmax if row.measure == "epoch_time"]
    assert values["train_time"] == pytest.approx(sum(epoch_times))
    assert values["events_per_second"] > 0
    assert values["test_time"] > 0
    # Tables of items and positions alone: 41 and 16 rows of 32.
    assert values["parameters"] > (41 + 16) * 32


def test_the_seed_decides_everything(softmax):
    def losses(said: list[Said]) -> list[float]:
        return [row.value for row in said if row.measure == "train_loss"]

    assert losses(run(case())) == losses(softmax)
    assert losses(run(case(seed=1))) != losses(softmax)


@pytest.mark.parametrize("split", ["leave_one_out", "global_temporal"])
def test_bidirectional_mechanisms_train_on_prefixes(split):
    said = run(
        case(
            causal=False,
            attention="linrec",
            training=freeze({"epochs": 1}),
            evaluation=freeze({"split": split}),
        )
    )
    assert set(final(said)) == {f"{name}@{k}" for name in ("recall", "ndcg", "mrr") for k in (5, 10, 20)}
    assert {row.detail.split(", ")[1] for row in said if row.phase == "test"} == {"seen excluded"}


def test_a_budget_ends_it_with_a_result():
    said = run(case(training=freeze({"epochs": 100_000, "budget_seconds": 0.2})))
    assert final(said)
    assert all(row.detail.endswith("stopped by budget") for row in said if row.phase == "test")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"causal": False, "training": freeze({"objective": "all_positions"})}, "needs causal: true"),
        ({"training": freeze({"epoch": 3})}, "training: unknown key 'epoch'"),
        ({"evaluation": freeze({"ks": [3]})}, "evaluation: unknown key 'ks'"),
        ({"dataset": "synthetik"}, "'synthetic'"),
        ({"attention": "softmaxx"}, "'softmax'"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_reported(fields, message):
    with pytest.raises(ValueError, match=message):
        run(case(**fields))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_runs_on_cuda():
    assert final(run(case(device="cuda")))["recall@5"] > 0.6
