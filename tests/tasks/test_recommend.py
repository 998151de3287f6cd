import dataclasses
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from linrec_bench import data
from linrec_bench.analysis.groups import quality_by_group
from linrec_bench.analysis.summary import METRIC, summarise
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case, freeze
from linrec_bench.data.splits import leave_one_out
from linrec_bench.measures.instruments.energy_meter import Meter
from linrec_bench.measures.instruments.ranking_metrics import metrics
from linrec_bench.models.elastic import Elastic, ElasticSettings
from linrec_bench.results.case_table import frame_of
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.settings import EvaluationSettings, TrainingSettings
from linrec_bench.tasks.ranking import ranker
from linrec_bench.tasks.ranking import train_and_rank as recommend
from linrec_bench.training.checkpoint import Checkpoint
from linrec_bench.training.evaluate import evaluate

train_by, rank_by = TrainingSettings.from_mapping, EvaluationSettings.from_mapping

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
        "training": train_by(TRAINING),
        "evaluation": rank_by({"k": [1, 5], "exclude_seen": False}),
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
    group_by: str
    group: str


def run(given: Case, **options) -> list[Said]:
    said: list[Said] = []

    def emit(measure, value, unit, *, phase="", repeat=0, detail="", group_by="", group=""):
        said.append(Said(measure, value, unit, phase, repeat, detail, group_by, group))

    recommend.run(given, emit, **options)
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
        "whole catalogue, seen included, leave-one-out, 120 queries (0 left out), ties last, "
        "best of validation ndcg@10, stopped by epochs"
    }


def test_validation_chooses_and_test_is_asked_once(monkeypatch):
    asked = []

    def remembered(model, queries, **options):
        asked.append(queries)
        return evaluate(model, queries, **options)

    monkeypatch.setattr(ranker, "evaluate", remembered)
    run(case(training=train_by({"epochs": 2})))
    split = leave_one_out(data.load("synthetic", **DATASET))
    for found, expected in zip(asked, (split.validation, split.validation, split.test), strict=True):
        np.testing.assert_array_equal(found.targets, expected.targets)
    assert not np.array_equal(split.validation.targets, split.test.targets)


def test_every_row_of_quality_says_its_protocol(softmax):
    rows = [row for row in softmax if "@" in row.measure]
    assert {row.phase for row in rows} == {"validation", "test", ""}
    assert all("whole catalogue, seen included, leave-one-out" in row.detail for row in rows)
    assert {row.detail for row in softmax if row.measure == "train_loss"} == {"cross_entropy, all_positions"}


def groups(said: list[Said], measure: str) -> dict[str, tuple[int, float]]:
    """Queries and value of each group by history."""
    counts = {row.group: int(row.value) for row in said if row.measure == "queries"}
    found = {}
    for row in said:
        if row.measure == measure and row.phase == "":
            assert row.group_by == "history"
            found[row.group] = (counts[row.group], row.value)
    return found


def test_quality_is_told_by_history_length_as_it_was_before_truncation():
    evaluation = {"k": [5], "history_groups": [8, 12, 17]}
    said = run(
        case(
            seq_len=4,
            training=train_by({"epochs": 1}),
            evaluation=rank_by(evaluation),
        )
    )
    lengths = leave_one_out(data.load("synthetic", **DATASET)).test.histories.lengths
    found = groups(said, "ndcg@5")
    assert {kind: count for kind, (count, _) in found.items()} == {
        "1-7": (lengths < 8).sum(),
        "8-11": ((lengths >= 8) & (lengths < 12)).sum(),
        "12-16": ((lengths >= 12) & (lengths < 17)).sum(),
        "17+": (lengths >= 17).sum(),
    }
    for measure, value in final(said).items():
        parts = groups(said, measure).values()
        assert sum(count * part for count, part in parts) / 120 == pytest.approx(value)


def test_groups_do_not_touch_the_main_number(softmax):
    rows = [
        row_of(
            case(),
            run_id="r",
            suite="s",
            measure=said.measure,
            unit=said.unit,
            value=said.value,
            phase=said.phase,
            repeat=said.repeat,
            detail=said.detail,
            group_by=said.group_by,
            group=said.group,
        )
        for said in [*softmax, Said(TRIAL, 1.0, "s", "", 0, "", "", "")]
    ]
    samples = frame_of(rows, [case()])
    summary = summarise(samples, reference="softmax")
    assert summary["recall@5"].tolist() == [final(softmax)["recall@5"]]
    by_group = quality_by_group(samples, metric="recall@5")
    assert by_group["group"].tolist() == ["1-19", "20-49"]
    assert by_group["queries"].sum() == 120


def test_ranks_are_kept_by_user(softmax):
    kept = {}
    said = run(case(), keep=lambda name, arrays: kept.update({name: arrays}))
    ranks = kept["ranks"]
    split = leave_one_out(data.load("synthetic", **DATASET))
    np.testing.assert_array_equal(ranks["user"], split.test.user)
    np.testing.assert_array_equal(ranks["history"], split.test.histories.lengths)
    assert ranks["rank"].dtype == np.int32
    assert metrics(ranks["rank"], (1, 5)) == final(said) == final(softmax)


@pytest.mark.parametrize("kind", ["uni100", "pop100"])
def test_candidates_are_drawn_once_a_seed_and_named_in_every_row(monkeypatch, kind):
    drawn = []

    def remembered(model, queries, **options):
        drawn.append(options["candidates"])
        return evaluate(model, queries, **options)

    monkeypatch.setattr(ranker, "evaluate", remembered)
    fields = {
        "dataset_params": freeze(DATASET | {"items": 200}),
        "training": train_by({"epochs": 2}),
        "evaluation": rank_by({"candidates": kind}),
    }
    said = run(case(**fields))
    run(case(**fields, attention="copy"))
    run(case(**fields, seed=1))
    first, again, test = drawn[:3]
    assert first is again
    assert not np.array_equal(first, test)
    # The same for another mechanism, other ones for another seed.
    np.testing.assert_array_equal(drawn[5], test)
    assert not np.array_equal(drawn[8], test)
    assert all(f"({kind}), seen excluded" in row.detail for row in said if "@" in row.measure)


def test_a_shuffled_future_changes_nothing(monkeypatch):
    """Test targets are shuffled between users: neither training nor validation sees them."""
    sequences = data.load("synthetic", **DATASET)
    last = sequences.offsets[1:] - 1
    items = sequences.items.copy()
    items[last] = np.random.default_rng(0).permutation(items[last])
    assert not np.array_equal(items, sequences.items)
    future = dataclasses.replace(sequences, items=items)
    fields = {"training": train_by({"epochs": 2})}

    def before_the_test(given) -> list[Said]:
        monkeypatch.setattr(recommend.data, "load", lambda *_, **__: given)
        said = run(case(**fields))
        return [row for row in said if row.measure == "train_loss" or row.phase == "validation"]

    assert before_the_test(sequences) == before_the_test(future)
    assert len(before_the_test(sequences)) > 2


def test_events_after_the_cut_change_nothing_before_it(monkeypatch):
    sequences = data.load("synthetic", **DATASET)
    cut = np.quantile(sequences.timestamps, 0.9)
    late = sequences.timestamps > cut
    items = sequences.items.copy()
    items[late] = np.random.default_rng(0).permutation(items[late])
    future = dataclasses.replace(sequences, items=items)
    fields = {
        "training": train_by({"epochs": 2}),
        "evaluation": rank_by({"split": "global_temporal", "exclude_seen": False}),
    }

    def losses(given) -> list[Said]:
        monkeypatch.setattr(recommend.data, "load", lambda *_, **__: given)
        said = run(case(**fields))
        return [row for row in said if row.measure == "train_loss" or row.phase == "validation"]

    assert losses(sequences) == losses(future)


def test_an_interrupted_case_says_what_an_uninterrupted_one_says(tmp_path, softmax):
    kept = Checkpoint(tmp_path / "case.pt", case().id, every_s=0.0)

    def emit(measure, value, unit, *, phase="", repeat=0, detail="", group_by="", group=""):
        if measure == "train_loss" and repeat == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recommend.run(case(), emit, checkpoint=kept)
    found = run(case(), checkpoint=kept)

    def untimed(said: list[Said]) -> list[Said]:
        return [row for row in said if row.unit not in ("s", "1/s")]

    assert untimed(found) == untimed(softmax)


@pytest.mark.slow
def test_bert4rec_learns_by_cloze_what_lies_back():
    fields = {
        "model": "bert4rec",
        "causal": False,
        # At a rate of 0.01 some seeds stay on a plateau; here six seeds reach a recall of 0.75 and more.
        "training": train_by({"epochs": 40, "learning_rate": 0.003}),
    }
    said = run(case(**fields))
    assert {row.detail for row in said if row.measure == "train_loss"} == {"cross_entropy, cloze"}
    assert final(said)["recall@5"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        {"loss": "sampled_softmax", "negatives": 20},
        {"loss": "sampled_softmax", "negatives": 20, "negative_sampling": "popularity"},
        {"loss": "bce", "negatives": 4},
    ],
    ids=["uniform", "popularity", "bce"],
)
def test_other_losses_learn_too(training):
    said = run(case(training=train_by({"epochs": 20, "learning_rate": 0.01, **training})))
    # Chance is an eighth.
    assert final(said)["recall@5"] > 0.4


def test_missing_times_of_requests_are_unsupported(monkeypatch):
    def untimed(sequences):
        split = leave_one_out(sequences)
        return dataclasses.replace(split, test=dataclasses.replace(split.test, request_times=None))

    monkeypatch.setattr(recommend, "SPLITS", {"leave_one_out": untimed})
    with pytest.raises(Unsupported, match="model hstu needs timestamps, and data set synthetic does not say"):
        run(case(model="hstu", attention="hstu"))


@pytest.mark.slow
def test_a_search_is_reported_and_what_it_chooses_is_trained_anew():
    """At a price beside which the data do not count, it takes the narrowest and the shallowest."""
    params = {"search_epochs": 3, "flops_weight": 1000.0, "width_divisors": [1, 4], "dropout": 0.0}
    said = run(
        case(
            model="easrec",
            attention="linrec",
            model_params=freeze(params),
            training=train_by({"epochs": 2, "budget_seconds": 600.0}),
        )
    )
    search = [row for row in said if row.phase == "search"]
    assert [row.repeat for row in search if row.measure == "train_loss"] == [1, 2, 3]
    assert [row.repeat for row in said if row.measure == "train_loss" and not row.phase] == [1, 2]
    chosen = {row.measure: row.value for row in search if row.measure.startswith("chosen_")}
    assert chosen == {"chosen_hidden_size": 8, "chosen_inner_size": 32, "chosen_layers": 1}
    (size,) = (row.value for row in said if row.measure == "parameters")
    sizes = ElasticSettings(n_items=40, seq_len=16, hidden_size=8, heads=2, inner_size=32, layers=1)
    assert size == sum(weight.numel() for weight in Elastic(sizes).parameters())
    assert set(final(said)) == {"recall@1", "recall@5", "ndcg@1", "ndcg@5", "mrr@1", "mrr@5"}


@pytest.mark.parametrize("model", ["popularity", "item-knn"])
def test_floors_are_counted_and_ranked_by_the_same_protocol(model):
    kept = {}
    said = run(
        case(model=model, model_params=(), training=None),
        keep=lambda name, arrays: kept.update({name: arrays}),
    )
    values = {row.measure: row.value for row in said}
    assert not {"train_loss", "epochs", "best_epoch"} & set(values)
    assert {row.detail.split(", ")[-1] for row in said if row.phase == "test"} == {"counted once on train"}
    assert 0 < final(said)["recall@5"] < 1
    assert values["parameters"] == 0
    assert len(kept["ranks"]["rank"]) == 120


def test_a_mechanism_that_needs_times_gets_them():
    params = {"training": train_by({"epochs": 1}), "attention": "hstu"}
    assert final(run(case(**params)))


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


def test_no_energy_is_told_on_a_cpu(softmax):
    assert "epoch_energy" not in {row.measure for row in softmax}


def test_the_energy_of_each_epoch_where_the_device_tells_it(monkeypatch):
    @contextmanager
    def metered(device):
        assert device == torch.device("cpu")
        # A joule more at every look, of which an epoch takes two.
        yield Meter(map(float, itertools.count()).__next__)

    monkeypatch.setattr(recommend.energy_meter, "metered", metered)
    found = [row for row in run(case(training=train_by({"epochs": 3}))) if row.measure == "epoch_energy"]
    assert [(row.value, row.unit, row.repeat) for row in found] == [
        (1.0, "J", number) for number in (1, 2, 3)
    ]
    assert {row.detail for row in found} == {"NVML's counter of the whole device, without validation"}


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
            training=train_by({"epochs": 1}),
            evaluation=rank_by({"split": split}),
        )
    )
    assert set(final(said)) == {f"{name}@{k}" for name in ("recall", "ndcg", "mrr") for k in (5, 10, 20)}
    assert {row.detail.split(", ")[1] for row in said if row.phase == "test"} == {"seen excluded"}


def test_a_budget_ends_it_with_a_result():
    said = run(case(training=train_by({"epochs": 100_000, "budget_seconds": 0.2})))
    assert final(said)
    assert all(row.detail.endswith("stopped by budget") for row in said if row.phase == "test")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"causal": False, "training": train_by({"objective": "all_positions"})},
            "needs causal: true",
        ),
        ({"training": train_by({"objective": "cloze"})}, "cloze is not for this model"),
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


@pytest.mark.parametrize("model", ["fdsa", "sasrecf"])
def test_a_model_of_features_gets_those_of_the_data_set(model):
    said = run(
        case(
            model=model,
            dataset_params=freeze({**DATASET, "features": 8}),
            training=train_by({"epochs": 1}),
        )
    )
    assert 0 <= final(said)["ndcg@5"] <= 1


def test_the_features_of_the_data_set_reach_the_model():
    def loss(features):
        given = freeze({**DATASET, "features": features})
        said = run(case(model="sasrecf", dataset_params=given, training=train_by({"epochs": 1})))
        return next(row.value for row in said if row.measure == "train_loss")

    # The same events, told apart by the features alone.
    assert loss(8) == loss(8)
    assert loss(8) != loss(4)


def test_a_model_of_features_is_unsupported_without_them():
    with pytest.raises(Unsupported, match="model fdsa needs features of the items, and data synthetic"):
        run(case(model="fdsa"))


def test_candidates_beside_the_catalogue_are_ranked_from_the_same_model():
    given = {
        "dataset_params": freeze({**DATASET, "items": 150}),
        "training": train_by({"epochs": 1}),
    }
    plain = {"k": [1, 5], "exclude_seen": True}
    both = run(case(evaluation=rank_by({**plain, "beside": "pop100"}), **given))
    alone = run(case(evaluation=rank_by({**plain, "candidates": "pop100"}), **given))
    whole = run(case(evaluation=rank_by(plain), **given))
    drawn = {f"pop_{name}": value for name, value in final(alone).items()}
    # The epoch was chosen by the catalogue in both, and the candidates are drawn from the seed.
    assert final(both).keys() == final(whole).keys() | drawn.keys()
    assert {name: value for name, value in final(both).items() if name in final(whole)} == final(whole)
    assert {name: value for name, value in final(both).items() if name in drawn} == drawn
    (said,) = {row.detail for row in both if row.measure.startswith("pop_")}
    assert said.startswith("100 negatives by popularity (pop100), seen excluded, leave-one-out, 120 queries")
    assert METRIC.fullmatch("pop_ndcg@5")


@pytest.mark.parametrize("candidates", ["pop100", "uni100"])
def test_candidates_beside_themselves_are_refused(candidates):
    with pytest.raises(ValueError, match=f"beside and candidates are both {candidates}"):
        run(case(evaluation=rank_by({"candidates": candidates, "beside": candidates})))
