"""FLOPs of ranking: those of a real forward, for every model that is trained."""

import numpy as np
import pytest
import torch

from linrec_bench import models
from linrec_bench.measures.instruments import work
from linrec_bench.tasks.ranking.ranking_flops import ranking_flops

TRAINED = [spec.name for spec in models.registry().values() if spec.trained_by_gradient]


def built(name, layers=1):
    spec = models.registry()[name]
    table = (np.arange(31)[:, None] > 0).astype(np.int64)
    extra = {"item_features": table} if spec.needs_features else {}
    sizes = {"seq_len": 16, "hidden_size": 16, "heads": 2, "layers": layers}
    own = {key: value for key, value in sizes.items() if key in spec.parameters}
    return models.build(name, n_items=30, **own, **extra)


@pytest.mark.parametrize("name", TRAINED)
def test_counts_are_those_of_a_real_forward(name):
    model = built(name)
    items = torch.randint(1, 31, (1, 16))
    fed, mask, _ = model.query(items)
    times = torch.arange(fed.shape[1] + 1)[None] if model.needs_timestamps else None
    found = ranking_flops(model, 16)
    assert model.training
    with torch.no_grad():
        real = work.count(lambda: model.eval()(fed, mask, times))
    assert found == real > 0


def test_a_deeper_model_costs_more():
    assert ranking_flops(built("sasrec", layers=2), 16) == 2 * ranking_flops(built("sasrec"), 16)
