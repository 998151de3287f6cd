"""LightSANs (Fan et al. 2021, doi 10.1145/3404835.3462978): attention to a few interests of the user.

With E the item table, per layer

    x_0 = dropout(LN(E[items]))
    x <- LN(x + dropout(attention(x)))
    x <- LN(x + dropout(W2 GELU(W1 x + b1) + b2))
    scores = x_L E^T                                          tied table

The attention is that of the mechanism `lightsans`: every token attends to r interests, and a term that is
N x N says where tokens stand, so that no positions are added to x. `lightsans-linear` does without the term;
there a position table P is added, x_0 = dropout(LN(E[items] + P)). Interests see all tokens: there is no
causal form. Upstream: BELIEVEfxy/LightSANs, and `lightsans.py` in RUCAIBox/RecBole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from linrec_bench.models.blocks import Encoder, RecBoleSettings, initialise, item_table
from linrec_bench.models.spec import ModelSpec, Recommender
from linrec_bench.models.stacked_recommender import StackedRecommender


@dataclass(frozen=True, kw_only=True, eq=False)
class LightSANsSettings(RecBoleSettings):
    """`attention_params` are those of the mechanism: `interests` above all."""

    model: ClassVar[str] = "lightsans"

    attention: str = "lightsans"
    causal: bool = False


class LightSANs(StackedRecommender):
    """Items and a stack of layers of few interests; see the module."""

    def __init__(self, settings: LightSANsSettings) -> None:
        super().__init__(settings)
        self.items = item_table("lightsans", settings.n_items, settings.hidden_size)
        self.stack = Encoder(settings, positions=settings.attention != "lightsans")
        initialise(self)

    # Interests see all tokens.
    init_state, step = Recommender.init_state, Recommender.step


SPEC = ModelSpec(
    name="lightsans",
    title="LightSANs: attention to a few interests, positions apart",
    paper="Fan et al. 2021, Lighter and Better: Low-Rank Decomposed Self-Attention Networks for Next-Item "
    "Recommendation, doi 10.1145/3404835.3462978",
    deviations=(
        "padded items stay out; the official code pools them with the others",
        "each layer has a table of positions of its own; the official code shares one",
        "no dropout on attention weights",
        "15 interests unless attention_params say otherwise; the authors suggest a tenth of seq_len",
    ),
    build=LightSANs,
    settings=LightSANsSettings,
    objectives=("last_position",),
    mechanisms=("lightsans", "lightsans-linear"),
)
