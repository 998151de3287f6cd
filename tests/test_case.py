import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.case import Case, freeze
from linrec_bench.settings import EvaluationSettings, TrainingSettings

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(0, 1), st.text(max_size=3))
PARAMS = st.dictionaries(st.text(min_size=1, max_size=3), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)))


def case(**changes: object) -> Case:
    return Case(**({"task": "core", "phase": "forward", "attention": "softmax", "seq_len": 8} | changes))


@given(params=PARAMS, seq_len=st.integers(1, 10_000), causal=st.booleans())
def test_json_round_trip_keeps_the_case_and_its_id(params, seq_len, causal):
    before = case(attention_params=freeze(params), seq_len=seq_len, causal=causal)
    after = Case.from_json(before.to_json())
    assert after == before
    assert after.id == before.id


@pytest.mark.parametrize(
    "change",
    [{"seq_len": 9}, {"attention": "sdpa"}, {"causal": True}, {"seed": 1}, {"attention_params": (("a", 1),)}],
)
def test_every_field_counts_in_the_id(change):
    assert case(**change).id != case().id


def trained(**changes: object) -> Case:
    fields = {"task": "recommend", "phase": "train_and_rank", "model": "sasrec", "dataset": "synthetic"}
    return case(**fields | changes)


@pytest.mark.parametrize(
    "training",
    [TrainingSettings(), TrainingSettings(epochs=3), TrainingSettings(loss="bce", negatives=4)],
)
def test_settings_are_a_part_of_the_case_and_come_back(training):
    before = trained(training=training, evaluation=EvaluationSettings(k=(3,), history_groups=()))
    after = Case.from_json(before.to_json())
    assert after == before
    assert after.id == before.id
    assert json.loads(before.to_json())["training"] == training.model_dump(mode="json")


def test_settings_count_in_the_id_and_a_spelled_out_default_does_not():
    assert trained(training=TrainingSettings(epochs=100)).id == trained().id
    assert trained(training=TrainingSettings(epochs=99)).id != trained().id
    assert trained(evaluation=EvaluationSettings(exclude_seen=False)).id != trained().id


def test_a_task_without_settings_holds_none():
    assert case().training is None
    assert case().evaluation is None
    with pytest.raises(ValueError, match="task core reads no settings of training"):
        case(training=TrainingSettings())


def test_a_label_names_the_parameters_that_were_set():
    assert case().attention_label == "softmax"
    assert case(attention_params=freeze({"padding": "ignore", "a": 1})).attention_label == (
        "softmax(a=1,padding=ignore)"
    )


def test_impossible_cases_are_refused():
    with pytest.raises(ValueError, match="no phase 'step'"):
        case(phase="step")
    with pytest.raises(ValueError, match="hidden_size 64 is not a multiple of heads 3"):
        case(heads=3)
    with pytest.raises(ValueError, match="scalar"):
        freeze({"a": {"b": 1}})
