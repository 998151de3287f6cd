"""The recurrence as one operation computes what torch's does, and its formula is what its steps count."""

import pytest
import torch
from torch import nn

from linrec_bench.measures.instruments import work
from linrec_bench.models import gru
from linrec_bench.models.dropout import Dropout


def results(call, given, inputs, hidden):
    leaves = [inputs, hidden, *given.parameters()]
    states, last = call(inputs, hidden)
    return [states, last, *torch.autograd.grad(states.sin().sum() + last.cos().sum(), leaves)]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_states_and_gradients_are_those_of_torch(layers, length):
    torch.manual_seed(0)
    given = nn.GRU(5, 5, layers, batch_first=True, dtype=torch.float64)
    inputs = torch.randn(3, length, 5, dtype=torch.float64, requires_grad=True)
    hidden = torch.randn(layers, 3, 5, dtype=torch.float64, requires_grad=True)
    own = results(lambda x, h: gru.units(given, Dropout(0.0), x, h), given, inputs, hidden)
    for found, expected in zip(own, results(given, given, inputs, hidden), strict=True):
        torch.testing.assert_close(found, expected)
    with torch.no_grad():
        unkept = gru.units(given, Dropout(0.0), inputs, hidden)[0]
    torch.testing.assert_close(unkept, own[0])


def test_the_formula_is_what_the_steps_count():
    gates, before, weight, bias = (torch.randn(*size) for size in ((3, 7, 12), (3, 4), (12, 4), (12,)))
    grad, factors, update = (torch.randn(3, 7, size) for size in (4, 12, 4))
    forward, backward = (gates, before, weight, bias, True), (grad, factors, update, weight)
    for operation, inputs in ((gru.gru_states, forward), (gru.gru_gradients, backward)):
        steps = work.count(lambda f=operation._init_fn, given=inputs: f(*given))
        assert work.count(lambda f=operation, given=inputs: f(*given)) == steps > 0
