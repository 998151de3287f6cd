"""FDSA (Zhang et al. 2019, IJCAI, doi 10.24963/ijcai.2019/600) with the mechanism passed in.

Two streams of self-attention, one over the items and one over the features of the items. With E the item and
P the position table, f_i a mean of the vectors of the features of item i whose weights are learnt

    S = encoder_s(E[items] + P),    G = encoder_f(f + P')
    scores = ([S; G] W + b) E^T                               tied table

Each encoder starts with a layer norm and normalises after each sum. Defaults, the form of the weights and of
the encoders are those of RecBole (`fdsa.py`); the paper's own code is not public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.models.blocks import Encoder, initialise, item_table
from linrec_bench.models.feature_embeddings import FeatureSettings, WeighedFeatures
from linrec_bench.models.spec import ModelSpec, Recommender
from linrec_bench.models.stack import Memory


@dataclass(frozen=True, kw_only=True, eq=False)
class FDSASettings(FeatureSettings):
    """Those of RecBole, and the features."""

    model: ClassVar[str] = "fdsa"


class FDSA(Recommender):
    """Two streams of layers around the same mechanism; see the module."""

    def __init__(self, settings: FDSASettings) -> None:
        super().__init__()
        n_items, size = settings.n_items, settings.hidden_size
        self.items = item_table("fdsa", n_items, size)
        self.features = WeighedFeatures("fdsa", settings.item_features, n_items=n_items, width=size)
        self.item_encoder, self.feature_encoder = Encoder(settings), Encoder(settings)
        self.join = nn.Linear(2 * size, size)
        self.causal, self.needs_timestamps = settings.causal, settings.needs_timestamps
        initialise(self)

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        of_items = self.item_encoder(self.items(items), padding_mask, timestamps)
        of_features = self.feature_encoder(self.features(items), padding_mask, timestamps)
        hidden: Tensor = self.join(torch.cat((of_items, of_features), dim=-1))
        return hidden

    def states_at(
        self,
        positions: Int64[Tensor, " B"],
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B D"]:
        of_items = self.item_encoder.at(positions, self.items(items), padding_mask, timestamps)
        of_features = self.feature_encoder.at(positions, self.features(items), padding_mask, timestamps)
        hidden: Tensor = self.join(torch.cat((of_items, of_features), dim=-1))
        return hidden

    def init_state(self, batch_size: int) -> Memory:
        """Those of both streams, one behind the other."""
        return *self.item_encoder.init_state(batch_size), *self.feature_encoder.init_state(batch_size)

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n D"]]:
        half = len(memory) // 2
        first, of_items = self.item_encoder.step(memory[:half], self.items(items), timestamps)
        second, of_features = self.feature_encoder.step(memory[half:], self.features(items), timestamps)
        hidden: Tensor = self.join(torch.cat((of_items, of_features), dim=-1))
        return (*first, *second), hidden

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        return self.items.weight


SPEC = ModelSpec(
    name="fdsa",
    title="FDSA: two streams of self-attention, over items and over their features",
    paper="Zhang et al. 2019, Feature-level Deeper Self-Attention Network, doi 10.24963/ijcai.2019/600",
    deviations=(
        "defaults as in RecBole, whose encoders share one layer norm at the start and normalise the end too",
        "a position table for each stream",
        "weights N(0, 0.02)",
        "no dropout on attention weights, which linear mechanisms do not have",
        "trained with cross entropy over the catalogue unless the suite asks for the paper's binary one",
    ),
    build=FDSA,
    settings=FDSASettings,
    streams=True,
    objectives=("all_positions", "last_position"),
    needs_features=True,
)
