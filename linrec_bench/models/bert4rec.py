"""BERT4Rec (Sun et al. 2019, arXiv 1904.06690) with the mechanism passed in.

With E the item and P the position table, per layer

    x_0 = dropout(LN(E[items] + P))
    x <- LN(x + dropout(attention(x)))
    x <- LN(x + dropout(W2 GELU(W1 x + b1) + b2))
    scores = LN(GELU(W x_L + b)) E^T + b_items                equation 7 and the official code, tied table

Bidirectional, and trained as a cloze: hidden items are replaced by a mask token, the id n_items + 1, and
their states tell them. To learn the next item the mask token is appended to the history. The table of items
has a last column, which holds b_items: the states that `forward` gives have a 1 there, so that scores are
products of states and item embeddings here too. Upstream: FeiSun/BERT4Rec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.models.blocks import Encoder, EncoderSettings, initialise, item_table
from linrec_bench.models.spec import ModelSpec, Recommender
from linrec_bench.models.stacked_recommender import StackedRecommender


@dataclass(frozen=True, kw_only=True, eq=False)
class BERT4RecSettings(EncoderSettings):
    """A row holds at most `seq_len` items and a mask token after them."""

    model: ClassVar[str] = "bert4rec"

    causal: bool = False

    @property
    def tokens(self) -> int:
        return self.seq_len + 1


class BERT4Rec(StackedRecommender):
    """A stack of layers that restores what a mask token stands for; see the module."""

    mask_token: int

    def __init__(self, settings: BERT4RecSettings) -> None:
        super().__init__(settings)
        n_items, size = settings.n_items, settings.hidden_size
        self.stack = Encoder(settings)
        self.items = item_table("bert4rec", n_items, size + 1, extra=1)
        self.head = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size, eps=1e-12))
        self.mask_token = n_items + 1
        initialise(self)
        with torch.no_grad():
            self.items.weight[:, -1].zero_()

    # The next item is told by the state of a mask token, which is no event.
    init_state, step = Recommender.init_state, Recommender.step

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D_plus_1"]:
        return self.items.weight[:-1]

    def query(
        self, items: Int64[Tensor, "B N"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Int64[Tensor, "B N_plus_1"], Bool[Tensor, "B N_plus_1"], Int64[Tensor, " B"]]:
        items, mask, last = super().query(items, padding_mask)
        position = last + 1
        asked = position[:, None]
        return (
            F.pad(items, (0, 1)).scatter(1, asked, self.mask_token),
            F.pad(mask, (0, 1)).scatter(1, asked, True),
            position,
        )

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        return super()._embedded(items)[..., :-1]

    def _states(self, hidden: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        """States whose product with a row of the item table is a score, the bias of that item in it."""
        return F.pad(self.head(hidden), (0, 1), value=1.0)


SPEC = ModelSpec(
    name="bert4rec",
    title="BERT4Rec: bidirectional, trained to restore hidden items",
    paper="Sun et al. 2019, BERT4Rec, arXiv 1904.06690",
    deviations=(
        "weights N(0, 0.02), not cut off at two standard deviations",
        "no dropout on attention weights, which linear mechanisms do not have",
        "seq_len items and the mask token after them; the paper counts the token among the seq_len",
        "position 0 is the oldest item of the row; rows are padded on the right",
    ),
    build=BERT4Rec,
    settings=BERT4RecSettings,
    objectives=("cloze", "last_position"),
)
