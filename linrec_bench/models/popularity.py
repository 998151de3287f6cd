"""Popularity: every history is answered with the items of the most training events.

    score(v) = number of events of v

The floor "TopPop" of Cremonesi et al. 2010 (doi 10.1145/1864708.1864721).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.data.sequences import Sequences
from linrec_bench.models.spec import Baseline, ModelSpec


class Popularity(Baseline):
    """Counts in float64, exact up to 2^53 events whatever the type of the case."""

    counts: Tensor

    def __init__(self, *, n_items: int) -> None:
        super().__init__("popularity", n_items=n_items)
        self.register_buffer("counts", torch.zeros(n_items + 1, dtype=torch.float64))

    def _count(self, sequences: Sequences) -> None:
        self.counts.copy_(torch.from_numpy(np.bincount(sequences.items, minlength=self.n_items + 1)))

    def _scores(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B V_plus_1"]:
        return self.counts.expand(len(items), -1)


SPEC = ModelSpec(
    name="popularity",
    title="Popularity: the items of the most events",
    paper="Cremonesi et al. 2010, Performance of Recommender Algorithms on Top-N Tasks, "
    "doi 10.1145/1864708.1864721",
    deviations=(),
    build=Popularity,
    trained_by_gradient=False,
)
