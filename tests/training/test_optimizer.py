import pytest
import torch
from torch import nn

from linrec_bench.settings import TrainingSettings
from linrec_bench.training.optimizer import learning_rate, make_optimizer


def settings(**params):
    return TrainingSettings.from_mapping(params)


def test_a_constant_rate():
    assert learning_rate(settings(learning_rate=0.5), step=1, progress=0.0) == 0.5
    assert learning_rate(settings(learning_rate=0.5), step=9, progress=1.0) == 0.5


def test_warm_up_rises_to_the_rate():
    warm = settings(learning_rate=1.0, warmup_steps=4)
    assert [learning_rate(warm, step=step, progress=0.0) for step in (1, 2, 4, 5)] == [0.25, 0.5, 1.0, 1.0]


def test_cosine_falls_to_zero_and_stays():
    cosine = settings(learning_rate=1.0, schedule="cosine")
    rates = [learning_rate(cosine, step=1, progress=progress) for progress in (0.0, 0.5, 1.0, 1.2)]
    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_steps_are_those_of_adamw():
    torch.manual_seed(0)
    ours = nn.Linear(3, 2)
    theirs = nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    optimizers = (
        make_optimizer(ours, settings(weight_decay=0.1)),
        torch.optim.AdamW(theirs.parameters(), lr=1e-3, weight_decay=0.1),
    )
    x = torch.randn(5, 3)
    for _ in range(3):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_the_moments_exist_from_the_start():
    model = nn.Linear(3, 2)
    before = [weight.clone() for weight in model.parameters()]
    optimizer = make_optimizer(model, settings(weight_decay=0.1))
    assert all(weight.grad is None for weight in model.parameters())
    assert {"exp_avg", "exp_avg_sq"} <= set(optimizer.state[model.weight])
    for weight, was in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, was)
