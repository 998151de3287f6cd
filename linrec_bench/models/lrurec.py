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

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from linrec_bench.models.blocks import initialise
from linrec_bench.models.parameter_checks import check_share, check_sizes
from linrec_bench.models.recurrent import RecurrentBlock, RecurrentRecommender
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stack import Mechanism

_EPS = 1e-5


class LRURec(RecurrentRecommender):
    """`inner_size` of the feed-forward net is 4 D where None; `attention_dropout` is that of the recurrence.

    A row holds at most `seq_len` items. `attention_params` are those of the mechanism: r_min and r_max.
    """

    def __init__(
        self,
        *,
        n_items: int,
        seq_len: int = 200,
        hidden_size: int = 64,
        layers: int = 2,
        inner_size: int | None = None,
        dropout: float = 0.2,
        attention_dropout: float = 0.2,
        attention: str = "lru",
        attention_params: dict[str, object] | None = None,
        causal: bool = True,
    ) -> None:
        inner_size = 4 * hidden_size if inner_size is None else inner_size
        mechanism = Mechanism(
            "lrurec", attention, hidden_size, 1, causal=causal, seq_len=seq_len, params=attention_params
        )
        check_sizes("lrurec", layers=layers, inner_size=inner_size)
        check_share("lrurec", dropout=dropout, attention_dropout=attention_dropout)
        blocks = [
            RecurrentBlock(
                mechanism.layer(),
                hidden_size=hidden_size,
                inner_size=inner_size,
                attention_dropout=attention_dropout,
                dropout=dropout,
                eps=_EPS,
            )
            for _ in range(layers)
        ]
        super().__init__(mechanism, blocks, n_items=n_items, dropout=dropout, eps=_EPS, extra=1)
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
    objectives=("all_positions", "last_position"),
    mechanisms=("lru",),
    streams=True,
)
