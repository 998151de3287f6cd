"""SASRec (Kang and McAuley 2018, arXiv 1808.09781) with the mechanism passed in.

With E the item and P the position table, per layer (section 3.3)

    x_0 = dropout(E[items] * sqrt(D) + P)                     equation 2
    x <- x + dropout(attention(LN(x)))                        equations 3 and 4
    x <- x + dropout(W2 act(W1 LN(x) + b1) + b2)              equation 5
    scores = LN(x_L) E^T                                      equation 6, tied table

Queries, keys and values are all projected from LN(x), as the paper's g(x) = x + dropout(g(LN(x))) says; the
scale sqrt(D) and the last norm are those of the official code (kang205/SASRec).

`norm: post` is the form that RecBole, and with it the code of LinRec, has under this name: each sum is
normalised instead, the embeddings too, nothing is scaled and nothing comes after the last layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.models.blocks import Activation, Encoder, EncoderSettings, Norm, initialise, item_table
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stacked_recommender import StackedRecommender


@dataclass(frozen=True, kw_only=True, eq=False)
class SASRecSettings(EncoderSettings):
    """`inner_size` of the feed-forward net is D where None."""

    model: ClassVar[str] = "sasrec"
    widening: ClassVar[int] = 1

    hidden_size: int = 50
    heads: int = 1
    activation: Activation = "relu"
    # A setting here alone.
    norm: Norm = "pre"  # type: ignore[misc]


class SASRec(StackedRecommender):
    """Items and a stack of attention and feed-forward layers; see the module."""

    def __init__(self, settings: SASRecSettings) -> None:
        super().__init__(settings)
        self.items = item_table("sasrec", settings.n_items, settings.hidden_size)
        self.stack = Encoder(settings)
        self.scale = math.sqrt(settings.hidden_size) if settings.norm == "pre" else 1.0
        initialise(self)

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        return super()._embedded(items) * self.scale


SPEC = ModelSpec(
    name="sasrec",
    title="SASRec: a stack of attention and feed-forward layers, tied output",
    paper="Kang and McAuley 2018, Self-Attentive Sequential Recommendation, arXiv 1808.09781",
    deviations=(
        "weights N(0, 0.02); the official code has Xavier's uniform distribution",
        "keys and values from LN(x), as in the paper; the official code takes them from x",
        "a projection after the heads, which one head does without in the paper",
        "no dropout on attention weights, which linear mechanisms do not have",
        "one dropout at the end of the feed-forward net, none inside it",
        "trained with cross entropy over the catalogue unless the suite asks for the paper's binary one",
    ),
    build=SASRec,
    settings=SASRecSettings,
    objectives=("all_positions", "last_position"),
    streams=True,
)
