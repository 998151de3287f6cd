"""SASRecF: SASRec with the features of the items beside them, as RecBole has it, the mechanism passed in.

With E the item and P the position table, f_i the sum of the vectors of the features of item i

    x = W [E[items]; f] + b
    states = encoder(x + P),    scores = states E^T           tied table

Upstream: RUCAIBox/RecBole, `sasrecf.py`. The encoder starts with a layer norm and normalises after each sum,
like the SASRec of RecBole (`norm: post` of sasrec). It has no paper of its own: the idea is the FDSA paper's
SASRec+.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from linrec_bench.models.blocks import Activation, Encoder, initialise, item_table
from linrec_bench.models.feature_embeddings import SummedFeatures
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stack import Mechanism
from linrec_bench.models.stacked_recommender import StackedRecommender


class SASRecF(StackedRecommender):
    """`hidden_size` D is a multiple of `heads`; `inner_size` is that of the feed-forward net.

    item_features: [n_items + 1, F], features numbered from 1, 0 for none. A row holds at most `seq_len`
    items. `attention` names the mechanism, `attention_params` are its own.
    """

    def __init__(
        self,
        *,
        n_items: int,
        item_features: np.ndarray | Tensor,
        seq_len: int = 50,
        hidden_size: int = 64,
        heads: int = 2,
        layers: int = 2,
        inner_size: int = 256,
        dropout: float = 0.5,
        activation: Activation = "gelu",
        attention: str = "softmax",
        attention_params: dict[str, object] | None = None,
        causal: bool = True,
    ) -> None:
        mechanism = Mechanism(
            "sasrecf", attention, hidden_size, heads, causal=causal, seq_len=seq_len, params=attention_params
        )
        super().__init__(mechanism)
        self.items = item_table("sasrecf", n_items, hidden_size)
        self.features = SummedFeatures("sasrecf", item_features, n_items=n_items, width=hidden_size)
        self.join = nn.Linear(2 * hidden_size, hidden_size)
        self.stack = Encoder(
            mechanism, layers=layers, inner_size=inner_size, dropout=dropout, activation=activation
        )
        initialise(self)

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        joined: Tensor = self.join(torch.cat((self.items(items), self.features(items)), dim=-1))
        return joined


SPEC = ModelSpec(
    name="sasrecf",
    title="SASRecF: SASRec over items joined with their features",
    paper="RecBole, recbole.io (Zhao et al. 2021, arXiv 2011.01731)",
    deviations=(
        "one set of features an item; RecBole has a vector for each of several fields, side by side",
        "no dropout on attention weights, which linear mechanisms do not have",
    ),
    build=SASRecF,
    objectives=("last_position", "all_positions"),
    streams=True,
    needs_features=True,
)
