import subprocess
import sys

import pytest

from linrec_bench.settings import EvaluationSettings, TrainingSettings


def test_defaults():
    settings = TrainingSettings.from_mapping({})
    assert settings.learning_rate == 1e-3
    assert settings.budget_seconds is None
    assert EvaluationSettings.from_mapping({}).k == (5, 10, 20)


def test_an_unknown_key_names_the_near_one():
    with pytest.raises(ValueError, match=r"^training: unknown key 'learning_rat'.*'learning_rate'\?$"):
        TrainingSettings.from_mapping({"learning_rat": 0.1})
    with pytest.raises(ValueError, match=r"^evaluation: unknown key 'exclude_sen'.*'exclude_seen'\?$"):
        EvaluationSettings.from_mapping({"exclude_sen": True})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0),
        ("epochs", 0),
        ("epochs", "10"),
        ("epochs", True),
        ("budget_seconds", -1),
        ("weight_decay", -0.1),
        ("warmup_steps", -1),
        ("objective", "all"),
        ("loss", "hinge"),
        ("mask_share", 1.0),
        ("negatives", 0),
        ("temperature", 0),
        ("negative_sampling", "popular"),
        ("schedule", "linear"),
        ("learning_rate", float("nan")),
        ("budget_seconds", float("inf")),
    ],
)
def test_an_impossible_value_is_one_line_with_key_and_value(key, value):
    with pytest.raises(ValueError, match=rf"^training: {key} is ") as caught:
        TrainingSettings.from_mapping({key: value})
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cut_offs_are_a_list_of_positive_numbers():
    assert EvaluationSettings.from_mapping({"k": (1, 10)}).k == (1, 10)
    assert EvaluationSettings.from_mapping({"k": [1, 10]}).k == (1, 10)
    for bad in ((), (0,), (5, -1), ("5",)):
        with pytest.raises(ValueError, match=r"^evaluation: k"):
            EvaluationSettings.from_mapping({"k": bad})


def test_all_positions_is_for_causal_mechanisms():
    settings = TrainingSettings.from_mapping({"objective": "all_positions"})
    assert settings.objective_for(causal=True) == "all_positions"
    with pytest.raises(ValueError, match="needs causal: true"):
        settings.objective_for(causal=False)


def test_the_objective_follows_from_causality():
    settings = TrainingSettings.from_mapping({})
    assert settings.objective_for(causal=True) == "all_positions"
    assert settings.objective_for(causal=False) == "last_position"
    last = TrainingSettings.from_mapping({"objective": "last_position"})
    assert last.objective_for(causal=True) == "last_position"


def test_the_model_limits_the_objective():
    auto = TrainingSettings.from_mapping({})
    assert auto.objective_for(causal=True, objectives=("cloze", "last_position")) == "cloze"
    assert auto.objective_for(causal=False, objectives=("all_positions", "last_position")) == "last_position"
    with pytest.raises(ValueError, match="all_positions only, which needs causal: true"):
        auto.objective_for(causal=False, objectives=("all_positions",))
    cloze = TrainingSettings.from_mapping({"objective": "cloze"})
    assert cloze.objective_for(causal=False) == "cloze"
    with pytest.raises(ValueError, match="cloze is not for this model; expected one of: all_positions"):
        cloze.objective_for(causal=True, objectives=("all_positions", "last_position"))


def test_each_loss_has_a_number_of_negatives():
    found = {
        loss: TrainingSettings.from_mapping({"loss": loss}).negatives_drawn
        for loss in ("cross_entropy", "sampled_softmax", "bce")
    }
    assert found == {"cross_entropy": 0, "sampled_softmax": 256, "bce": 1}
    assert TrainingSettings.from_mapping({"loss": "bce", "negatives": 4}).negatives_drawn == 4


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"negatives": 4}, "negatives does not apply to loss cross_entropy; .*sampled_softmax or bce"),
        ({"loss": "bce", "logq": True}, "logq does not apply to loss bce; .*sampled_softmax$"),
        ({"objective": "last_position", "mask_share": 0.3}, "mask_share does not apply .*cloze"),
    ],
)
def test_a_key_that_would_be_ignored_is_refused(params, message):
    with pytest.raises(ValueError, match=rf"^training: {message}") as caught:
        TrainingSettings.from_mapping(params)
    assert "\n" not in str(caught.value)


def test_history_groups_ascend():
    assert EvaluationSettings.from_mapping({}).history_groups == (20, 50, 100, 200)
    assert EvaluationSettings.from_mapping({"history_groups": []}).history_groups == ()
    for bad in ([50, 20], [20, 20], [1, 5]):
        with pytest.raises(ValueError, match=r"^evaluation: history_groups is .*ascending"):
            EvaluationSettings.from_mapping({"history_groups": bad})


def test_drawn_candidates_never_hold_seen_items():
    assert EvaluationSettings.from_mapping({"candidates": "pop100"}).exclude_seen
    with pytest.raises(ValueError, match=r"^evaluation: candidates uni100 never include .*exclude_seen"):
        EvaluationSettings.from_mapping({"candidates": "uni100", "exclude_seen": False})


@pytest.mark.parametrize("module", ["settings", "training.protocol"])
def test_does_not_import_torch(module):
    code = f"import sys, linrec_bench.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
