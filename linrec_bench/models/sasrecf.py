"""SASRecF: SASRec with the features of the items beside them, as RecBole has it, the mechanism passed in.

With E the item and P the position table, f_i the sum of the vectors of the features of item i

    x = W [E[items]; f] + b
    states = encoder(x + P),    scores = states E^T           tied table

Upstream: RUCAIBox/RecBole, `sasrecf.py`. The encoder starts with a layer norm and normalises after each sum,
like the SASRec of RecBole (`norm: post` of sasrec). It has no paper of its own: the idea is the FDSA paper's
SASRec+.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from linrec_bench.models.blocks import Encoder, initialise, item_table
from linrec_bench.models.feature_embeddings import FeatureSettings, SummedFeatures
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stacked_recommender import StackedRecommender


@dataclass(frozen=True, kw_only=True, eq=False)
class SASRecFSettings(FeatureSettings):
    """Those of RecBole, and the features."""

    model: ClassVar[str] = "sasrecf"


class SASRecF(StackedRecommender):
    """Items joined with their features, and a stack of layers; see the module."""

    def __init__(self, settings: SASRecFSettings) -> None:
        super().__init__(settings)
        n_items, size = settings.n_items, settings.hidden_size
        self.items = item_table("sasrecf", n_items, size)
        self.features = SummedFeatures("sasrecf", settings.item_features, n_items=n_items, width=size)
        self.join = nn.Linear(2 * size, size)
        self.stack = Encoder(settings)
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
    settings=SASRecFSettings,
    objectives=("last_position", "all_positions"),
    streams=True,
    needs_features=True,
)
