"""LRURec (Yue et al. 2024, arXiv 2310.02367): linear recurrent units over the items of a user.

With E the item table, per layer

    x_0 = LN(dropout(E[items]))
    x <- LN(x + dropout(LRU(x)))
    x <- LN(x + dropout(W2 dropout(GELU(W1 x + b1)) + b2))
    scores = x_L E^T + b_items                                tied table

LRU is the layer of the mechanism `lru`: 2 D complex numbers that turn and fade at rates of their own. The
table of items has a last column, which holds b_items: the states that `forward` gives have a 1 there, so that
scores are products of states and item embeddings here too. Upstream: yueqirex/LRURec, `model/lru.py` and
`config.py`, which trains with AdamW, a weight decay of 0.01 and gradients of at most 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from linrec_bench.models.blocks import initialise
from linrec_bench.models.parameter_checks import check_share
from linrec_bench.models.recurrent import RecurrentBlock, RecurrentRecommender
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stack import Settings

_EPS = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class LRURecSettings(Settings):
    """`attention_dropout` is that of the recurrence; `attention_params` are r_min and r_max."""

    model: ClassVar[str] = "lrurec"
    # No setting here.
    heads: ClassVar[int] = 1  # type: ignore[misc]

    attention_dropout: float = 0.2
    attention: str = "lru"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("lrurec", attention_dropout=self.attention_dropout)


class LRURec(RecurrentRecommender):
    """Items and a stack of linear recurrent units and feed-forward nets; see the module."""

    def __init__(self, settings: LRURecSettings) -> None:
        dropout = settings.attention_dropout
        blocks = [
            RecurrentBlock(settings, attention_dropout=dropout, eps=_EPS) for _ in range(settings.layers)
        ]
        super().__init__(settings, blocks, eps=_EPS, extra=1)
        initialise(self)
        with torch.no_grad():
            self.items.weight[:, -1].zero_()

    def _states(self, hidden: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        return F.pad(hidden, (0, 1), value=1.0)


SPEC = ModelSpec(
    name="lrurec",
    title="LRURec: linear recurrent units",
    paper="Yue et al. 2024, Linear Recurrent Units for Sequential Recommendation, arXiv 2310.02367",
    deviations=(
        "weights N(0, 0.02), not cut off at two standard deviations; biases 0, which the official code draws "
        "likewise",
        "trained by Adam without its gradient limit and weight decay unless the suite asks for them",
        "the deviations of the mechanism lru",
    ),
    build=LRURec,
    settings=LRURecSettings,
    objectives=("all_positions", "last_position"),
    mechanisms=("lru",),
    streams=True,
)
