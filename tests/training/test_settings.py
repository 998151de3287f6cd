import subprocess
import sys

import pytest

from linrec_bench.training.settings import EvaluationSettings, TrainingSettings


def test_defaults():
    settings = TrainingSettings.from_params({})
    assert settings.learning_rate == 1e-3
    assert settings.budget_seconds is None
    assert EvaluationSettings.from_params({}).k == (5, 10, 20)


def test_an_unknown_key_names_the_near_one():
    with pytest.raises(ValueError, match=r"^training: unknown key 'learning_rat'.*'learning_rate'\?$"):
        TrainingSettings.from_params({"learning_rat": 0.1})
    with pytest.raises(ValueError, match=r"^evaluation: unknown key 'exclude_sen'.*'exclude_seen'\?$"):
        EvaluationSettings.from_params({"exclude_sen": True})


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
        ("loss", "bce"),
        ("schedule", "linear"),
        ("learning_rate", float("nan")),
        ("budget_seconds", float("inf")),
    ],
)
def test_an_impossible_value_is_one_line_with_key_and_value(key, value):
    with pytest.raises(ValueError, match=rf"^training: {key} is ") as caught:
        TrainingSettings.from_params({key: value})
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cut_offs_are_a_list_of_positive_numbers():
    assert EvaluationSettings.from_params({"k": (1, 10)}).k == (1, 10)
    assert EvaluationSettings.from_params({"k": [1, 10]}).k == (1, 10)
    for bad in ((), (0,), (5, -1), ("5",)):
        with pytest.raises(ValueError, match=r"^evaluation: k"):
            EvaluationSettings.from_params({"k": bad})


def test_all_positions_is_for_causal_mechanisms():
    settings = TrainingSettings.from_params({"objective": "all_positions"})
    assert settings.objective_for(causal=True) == "all_positions"
    with pytest.raises(ValueError, match="needs causal: true"):
        settings.objective_for(causal=False)


def test_the_objective_follows_from_causality():
    settings = TrainingSettings.from_params({})
    assert settings.objective_for(causal=True) == "all_positions"
    assert settings.objective_for(causal=False) == "last_position"
    last = TrainingSettings.from_params({"objective": "last_position"})
    assert last.objective_for(causal=True) == "last_position"


def test_does_not_import_torch():
    code = "import sys, linrec_bench.training.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
