import torch
from torch import nn

from linrec_bench.models.spec import Supernet
from linrec_bench.settings import TrainingSettings
from linrec_bench.training.architecture_search import ArchitectureSteps
from linrec_bench.training.optimizer import make_optimizer


class Two(Supernet):
    """A weight and two architecture parameters; the price pulls both down."""

    search_every = 3

    def __init__(self):
        super().__init__()
        self.weight, self.alpha, self.beta = (nn.Parameter(torch.tensor([1.0])) for _ in range(3))

    def forward(self, items, padding_mask=None, timestamps=None):
        raise NotImplementedError

    def item_embeddings(self):
        raise NotImplementedError

    def auxiliary_loss(self):
        return (self.alpha + self.beta).sum()

    def architecture_parameters(self):
        return (self.alpha,), (self.beta,)

    def choice(self):
        return {}

    def chosen(self):
        return self


def test_only_every_so_many_steps_and_one_group_after_another():
    model = Two()
    steps = ArchitectureSteps(model, learning_rate=0.1)
    seen = []

    def loss():
        seen.append((round(model.alpha.item(), 3), round(model.beta.item(), 3)))
        return (model.weight * model.alpha * model.beta).sum()

    for number in range(1, 7):
        steps.after(number, loss)
    # Beta's step sees the alpha that has just moved; the second turn comes after the sixth step.
    assert seen == [(1.0, 1.0), (0.9, 1.0), (0.9, 0.9), (0.8, 0.9)]
    assert model.weight.item() == 1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_weights_have_an_optimizer_of_their_own():
    model = Two()
    optimizer = make_optimizer(model, TrainingSettings.from_mapping({"learning_rate": 0.1}))
    assert [group["params"] for group in optimizer.param_groups] == [[model.weight]]
    (model.weight * model.alpha).sum().backward()
    optimizer.step()
    assert model.weight.item() < 1
    assert (model.alpha.item(), model.beta.item()) == (1, 1)


def test_the_price_is_part_of_the_loss():
    steps = ArchitectureSteps(Two(), learning_rate=0.1)
    assert steps.total(torch.tensor(3.0)).item() == 5


def test_a_model_without_an_architecture_takes_no_such_steps():
    steps = ArchitectureSteps(nn.Linear(2, 2), learning_rate=0.1)
    steps.after(10, lambda: 1 / 0)
    assert steps.state() == []
    assert steps.total(torch.tensor(3.0)).item() == 3


def test_an_interrupted_search_goes_on_as_if_nothing_had_happened():
    def turn(model, steps, number):
        steps.after(number, lambda: (model.alpha * model.beta).square().sum())

    whole = Two()
    through = ArchitectureSteps(whole, learning_rate=0.1)
    for number in (3, 6, 9):
        turn(whole, through, number)
    first = Two()
    before = ArchitectureSteps(first, learning_rate=0.1)
    turn(first, before, 3)
    second = Two()
    second.load_state_dict(first.state_dict())
    after = ArchitectureSteps(second, learning_rate=0.1)
    after.restore(before.state())
    for number in (6, 9):
        turn(second, after, number)
    assert torch.equal(second.alpha, whole.alpha)
    assert torch.equal(second.beta, whole.beta)
