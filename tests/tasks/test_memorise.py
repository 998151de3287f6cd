"""The memorisation probe: a model that can look back learns a planted run, one that cannot does not."""

import pytest

from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case, freeze
from linrec_bench.settings import EvaluationSettings, TrainingSettings
from linrec_bench.suite.watermark_config import Watermark
from linrec_bench.tasks.ranking import memorise


def case(attention="softmax", *, model="sasrec", seq_len=24, marking=None, **training):
    chosen = {"epochs": 30, "learning_rate": 5e-3, "patience": 30, "validate_every": 30, **training}
    return Case(
        task="recommend",
        phase="train_and_rank",
        attention=attention,
        causal=True,
        seq_len=seq_len,
        batch_size=32,
        hidden_size=32,
        layers=2,
        model=model,
        model_params=freeze({"dropout": 0.0} if model == "sasrec" else {}),
        dataset="synthetic",
        dataset_params=freeze({"users": 120, "items": 60, "length": 16, "distance": 2}),
        training=TrainingSettings(**(chosen if model == "sasrec" else {})),
        evaluation=EvaluationSettings(k=(1, 5)),
        watermark=(marking or Watermark(share=0.4, patterns=2, rarity=0.5)).params,
    )


def rows_of(case):
    rows = {}
    memorise.run(
        case, lambda measure, value, unit, **where: rows.setdefault((where.get("phase", ""), measure), value)
    )
    return rows


@pytest.mark.slow
def test_a_planted_run_is_learnt_and_told_from_a_clean_model():
    rows = rows_of(case())
    assert rows["test", "watermark_hit@1"] == 1.0
    assert rows["test", "watermark_hit_clean@1"] == 0.0
    assert rows["test", "watermark_gain@1"] == 1.0
    assert rows["", "watermark_users"] == 48
    assert rows["", "watermark_distance"] == 0
    assert ("test", "ndcg_lost@5") in rows
    assert ("", "train_time") in rows


@pytest.mark.slow
def test_a_model_that_cannot_look_back_misses_a_target_behind_a_gap():
    marking = Watermark(share=0.5, patterns=2, rarity=0.5, distance=1)
    blind, seeing = (rows_of(case(name, marking=marking, epochs=60)) for name in ("copy", "softmax"))
    assert blind["test", "watermark_hit@1"] < 0.3
    assert seeing["test", "watermark_hit@1"] > 0.6
    assert blind["", "watermark_distance"] == seeing["", "watermark_distance"] == 1


def test_the_ranks_of_every_question_are_kept():
    kept = {}
    memorise.run(
        case(epochs=1),
        lambda *args, **where: None,
        keep=lambda name, arrays: kept.update({name: arrays}),
    )
    arrays = kept["watermark"]
    assert set(arrays) == {"pattern", "marked", "clean"}
    assert {len(array) for array in arrays.values()} == {2}


def test_a_run_longer_than_the_window_is_refused():
    with pytest.raises(ValueError, match="reach back 5 events; seq_len is 4"):
        rows_of(case(seq_len=4, marking=Watermark(share=0.1, distance=3, rarity=0.5)))


def test_a_floor_has_nothing_to_memorise_with():
    with pytest.raises(Unsupported, match="model popularity counts"):
        rows_of(case(model="popularity"))
