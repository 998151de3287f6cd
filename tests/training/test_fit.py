import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from linrec_bench.data.sequences import Sequences
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import TrainingSettings
from linrec_bench.training.batches import prefixes, windows
from linrec_bench.training.fit import Epoch, fit

N_ITEMS = 6
COUNTS = np.array([0, *[1] * N_ITEMS])


class Bigram(Recommender):
    """The smallest thing that trains: one state an item."""

    def __init__(self, *, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.modes: list[bool] = []
        self.states = nn.Embedding(N_ITEMS + 1, 8)
        self.table = nn.Embedding(N_ITEMS + 1, 8)
        self.dropout = nn.Dropout(0.1)

    def forward(self, items, padding_mask=None, timestamps=None):
        self.modes.append(self.training)
        return self.dropout(self.states(items))

    def item_embeddings(self):
        return self.table.weight


class Clock:
    """Time passes when somebody looks: `tick` seconds a call."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def cycles(users: int = 12, length: int = 9) -> Sequences:
    """Every user walks through the items in a circle from a start of their own."""
    items = (np.arange(users)[:, None] + np.arange(length)[None, :]) % N_ITEMS + 1
    offsets = np.arange(users + 1) * length
    return Sequences(items.reshape(-1).astype(np.int32), np.arange(users * length), offsets, N_ITEMS)


def model() -> Bigram:
    torch.manual_seed(0)
    return Bigram()


def train(bigram: Bigram, *, values: Iterator[float] | None = None, clock=None, seed=0, **params):
    """Fit with validations that read `values` one after the other."""
    values = values or map(float, range(10_000))
    settings = TrainingSettings.from_mapping({"learning_rate": 0.05, **params})
    seen: list[Epoch] = []
    result = fit(
        bigram,
        windows(cycles(), 4),
        settings,
        objective=settings.objective_for(causal=bigram.causal),
        counts=COUNTS,
        batch_size=5,
        seed=seed,
        validate=lambda: {"ndcg@10": next(values)},
        on_epoch=seen.append,
        **({} if clock is None else {"clock": clock}),
    )
    assert tuple(seen) == result.epochs
    return result


def test_learns_and_counts():
    result = train(model(), epochs=20)
    assert result.epochs[0].loss > math.log(N_ITEMS) * 0.8
    assert result.epochs[-1].loss < 0.3
    assert [epoch.number for epoch in result.epochs] == list(range(1, 21))
    assert {epoch.events for epoch in result.epochs} == {12 * 8}
    assert result.events == 20 * 12 * 8
    assert result.stopped_by == "epochs"


def test_prefixes_train_too():
    settings = TrainingSettings.from_mapping({"learning_rate": 0.05, "epochs": 8})
    bidirectional = Bigram(causal=False)
    result = fit(
        bidirectional,
        prefixes(cycles(), 4),
        settings,
        objective="last_position",
        counts=COUNTS,
        batch_size=16,
        seed=0,
        validate=lambda: {"ndcg@10": 0.0},
    )
    assert result.epochs[-1].loss < 0.5 * result.epochs[0].loss
    assert result.epochs[0].events == 12 * 8


def test_patience_ends_it_and_the_best_weights_remain():
    weights: list[torch.Tensor] = []
    bigram = model()
    scores = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])

    def watched() -> Iterator[float]:
        for score in scores:
            weights.append(bigram.table.weight.detach().clone())
            yield score

    result = train(bigram, values=watched(), epochs=50, patience=3)
    assert result.stopped_by == "patience"
    assert len(result.epochs) == 5
    # An equal score is no improvement.
    assert result.best_epoch == 2
    assert torch.equal(bigram.table.weight, weights[1])
    assert not torch.equal(weights[1], weights[4])


def test_validations_are_as_rare_as_asked():
    result = train(model(), epochs=7, validate_every=3)
    assert [epoch.number for epoch in result.epochs if epoch.validation] == [3, 6, 7]


def test_a_budget_ends_within_an_epoch_and_still_validates():
    # A look at the clock costs a second, and every step looks twice: an epoch of six steps does not fit.
    result = train(model(), epochs=50, budget_seconds=8, clock=Clock(1.0))
    assert result.stopped_by == "budget"
    assert len(result.epochs) == 1
    assert 0 < result.epochs[0].events < 12 * 8
    assert result.epochs[0].validation
    assert result.best_epoch == 1


def test_a_budget_used_up_by_validation_starts_no_further_epoch():
    clock = Clock(0.0)

    def slow() -> Iterator[float]:
        clock.now += 100
        yield 0.5

    result = train(model(), values=slow(), epochs=50, budget_seconds=50, clock=clock)
    assert result.stopped_by == "budget"
    assert len(result.epochs) == 1


def test_training_time_is_without_validation():
    clock = Clock(1e-3)

    def slow() -> Iterator[float]:
        while True:
            clock.now += 100
            yield 0.5

    result = train(model(), values=slow(), epochs=2, clock=clock)
    assert 0 < result.train_s < 1


def test_the_seed_decides_order_and_dropout():
    def losses(seed: int) -> list[float]:
        bigram = model()
        # Whatever happened to the global generator before must not matter.
        torch.seed()
        return [epoch.loss for epoch in train(bigram, seed=seed, epochs=2).epochs]

    first, second, other = losses(1), losses(1), losses(2)
    assert first == second != other


def test_trains_in_training_mode_whatever_validation_leaves_behind():
    bigram = model()

    def leaving_eval() -> Iterator[float]:
        while True:
            bigram.eval()
            yield 0.5

    train(bigram, values=leaving_eval(), epochs=3)
    assert bigram.modes
    assert all(bigram.modes)


def test_the_schedule_reaches_the_optimizer():
    def change(**params) -> float:
        bigram = model()
        before = bigram.table.weight.detach().clone()
        train(bigram, epochs=1, **params)
        return float((bigram.table.weight.detach() - before).abs().sum())

    constant = change()
    assert change(schedule="cosine") < 0.9 * constant
    assert change(warmup_steps=1000) < 0.1 * constant


def test_a_gradient_that_is_clipped_to_nothing_moves_nothing():
    bigram = model()
    before = bigram.table.weight.detach().clone()
    # Adam divides the scale of the gradient out again, except below its epsilon of 1e-8.
    train(bigram, epochs=1, gradient_clip=1e-14)
    assert (bigram.table.weight.detach() - before).abs().max() < 1e-4


def test_a_loss_that_is_not_finite_names_its_step():
    bigram = model()
    with torch.no_grad():
        bigram.table.weight[3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 1; .*learning_rate"):
        train(bigram)


def test_all_positions_without_causality_is_refused():
    with pytest.raises(ValueError, match="needs causal: true"):
        train(Bigram(causal=False), objective="all_positions")


def test_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="no training rows"):
        fit(
            model(),
            windows(cycles(length=1), 4),
            TrainingSettings.from_mapping({}),
            objective="all_positions",
            counts=COUNTS,
            batch_size=4,
            seed=0,
            validate=lambda: {"ndcg@10": 0.0},
        )
