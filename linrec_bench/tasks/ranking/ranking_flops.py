"""What ranking with a trained model costs, counted and not timed."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench.measures.instruments import work
from linrec_bench.models.spec import Recommender


def ranking_flops(model: Recommender, seq_len: int) -> int:
    """FLOPs of the forward of one history of `seq_len` events, up to the state that ranks the catalogue.

    Nothing is computed: shapes alone go through the model, which stays as it was.
    """
    was_training = model.training
    model.eval()
    device = model.item_embeddings().device
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True):
        items = torch.ones(1, seq_len, dtype=torch.int64, device=device)
        fed, mask, _ = model.query(items)
        shape = (1, fed.shape[1] + 1)
        times = torch.ones(shape, dtype=torch.int64, device=device) if model.needs_timestamps else None
        found = work.count(lambda: model(fed, mask, times))
    model.train(was_training)
    return found
