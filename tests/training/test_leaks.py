"""What comes later changes nothing that is trained or chosen: every model, and every objective."""

from dataclasses import replace

import numpy as np
import pytest

from linrec_bench import attention, data, models
from linrec_bench.case import Case, freeze
from linrec_bench.models.spec import Baseline
from linrec_bench.settings import EvaluationSettings, TrainingSettings
from linrec_bench.tasks.ranking import train_and_rank as recommend

pytestmark = pytest.mark.slow

DATASET = {"users": 24, "items": 30, "length": 12, "distance": 2, "features": 4}


def settings():
    """Each model under its last objective, and all objectives of two: batches are made by objective alone."""
    for spec in models.registry().values():
        objectives = spec.objectives or (None,)
        for objective in objectives if spec.name in ("sasrec", "bert4rec") else objectives[-1:]:
            yield pytest.param(spec, objective, id=f"{spec.name}-{objective or 'counted'}")


def is_causal(spec, objective):
    if spec.mechanisms:
        return attention.registry()[spec.mechanisms[0]].causal and objective != "cloze"
    return objective == "all_positions"


def case(spec, objective):
    # Which epoch is chosen does not depend on the model.
    epochs = 2 if spec.name in ("sasrec", "bert4rec") else 1
    training = {} if objective is None else {"objective": objective, "epochs": epochs}
    return Case(
        task="recommend",
        phase="train_and_rank",
        attention=spec.mechanisms[0] if spec.mechanisms else "linrec",
        model=spec.name,
        dataset="synthetic",
        dataset_params=freeze(DATASET),
        seq_len=8,
        batch_size=16,
        hidden_size=8,
        heads=2,
        layers=2,
        causal=is_causal(spec, objective),
        training=TrainingSettings.from_mapping(training),
        evaluation=EvaluationSettings.from_mapping({"k": [5]}),
    )


def run(given, monkeypatch):
    """What is trained, counted and chosen, and the ranks of the test."""
    decided, kept = [], {}
    count = Baseline.fit

    def fit(self, sequences):
        decided.append(sequences.items.tolist())
        count(self, sequences)

    def emit(measure, value, unit, *, phase="", repeat=0, detail="", group_by="", group=""):
        if measure in ("train_loss", "best_epoch") or phase == "validation":
            decided.append((measure, phase, repeat, value))

    with monkeypatch.context() as patched:
        patched.setattr(Baseline, "fit", fit)
        recommend.run(given, emit, keep=lambda name, arrays: kept.update(arrays))
    assert decided
    return decided, kept["rank"]


@pytest.mark.parametrize(("spec", "objective"), list(settings()))
def test_the_test_events_change_nothing_that_is_trained_or_chosen(monkeypatch, spec, objective):
    real = data.load

    def shuffled(name, **params):
        found = real(name, **params)
        last = found.offsets[1:] - 1
        items = found.items.copy()
        items[last] = np.random.default_rng(5).permutation(items[last])
        return replace(found, items=items)

    before, ranks = run(case(spec, objective), monkeypatch)
    monkeypatch.setattr(data, "load", shuffled)
    after, other = run(case(spec, objective), monkeypatch)
    assert after == before
    # The test itself did change.
    assert not np.array_equal(ranks, other)
