"""What ranking with a trained model costs, counted and not timed."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from linrec_bench.measures.instruments import work
from linrec_bench.models.spec import Recommender


def ranking_flops(model: Recommender, seq_len: int) -> int:
    """FLOPs of the forward of one history of `seq_len` events, up to the state that ranks the catalogue.

    Nothing is computed: shapes alone go through the model, which stays as it was. The operations are those
    that the CPU would run, whatever the device of the model, as for all counts.
    """
    was_training = model.training
    model.eval()
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True):
        own = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        shapes = {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in own}
        fed, mask, _ = model.query(torch.ones(1, seq_len, dtype=torch.int64))
        times = torch.ones(1, fed.shape[1] + 1, dtype=torch.int64) if model.needs_timestamps else None
        found = work.count(lambda: functional_call(model, shapes, (fed, mask, times)))
    model.train(was_training)
    return found
