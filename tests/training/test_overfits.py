"""A whole training learns a tiny set by heart, under every objective and with features of items."""

import pytest

from linrec_bench import attention, models
from linrec_bench.case import Case, freeze
from linrec_bench.settings import EvaluationSettings, TrainingSettings
from linrec_bench.tasks.ranking import train_and_rank as recommend

pytestmark = pytest.mark.slow

DATASET = {"users": 12, "items": 12, "length": 8, "distance": 1, "noise": 0.0, "features": 3}
EPOCHS = {"all_positions": 40, "last_position": 20, "cloze": 300}
"""Cloze asks for a fifth of the items, others each time."""


TRAINED = ("sasrec", "bert4rec", "fdsa")
"""That every model can is in models/test_recommenders.py."""

SETTINGS = [(name, objective) for name in TRAINED for objective in models.registry()[name].objectives]


@pytest.mark.parametrize(("name", "objective"), SETTINGS)
def test_the_loss_of_a_tiny_set_falls_to_a_small_part(name, objective):
    spec = models.registry()[name]
    mechanism = spec.mechanisms[0] if spec.mechanisms else "softmax"
    causal = attention.registry()[mechanism].causal and objective != "cloze"
    without = {name: 0.0 for name in spec.parameters if name.endswith("dropout")}
    losses = []
    budget = {"epochs": EPOCHS[objective], "patience": EPOCHS[objective], "validate_every": EPOCHS[objective]}

    def emit(measure, value, unit, *, phase="", repeat=0, detail="", group_by="", group=""):
        if measure == "train_loss":
            losses.append(value)

    given = Case(
        task="recommend",
        phase="train_and_rank",
        attention=mechanism,
        model=spec.name,
        model_params=freeze(without),
        dataset="synthetic",
        dataset_params=freeze(DATASET),
        seq_len=12,
        batch_size=8,
        hidden_size=32,
        heads=2,
        layers=2,
        causal=causal,
        training=TrainingSettings.from_mapping({"objective": objective, "learning_rate": 5e-3, **budget}),
        evaluation=EvaluationSettings.from_mapping({"k": [5], "exclude_seen": False}),
    )
    recommend.run(given, emit)
    # The next item follows from the one before: nothing is left to guess but the first.
    assert min(losses) < 0.35 * losses[0], losses
