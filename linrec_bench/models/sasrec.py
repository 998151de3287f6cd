"""SASRec (Kang and McAuley 2018, arXiv 1808.09781) with the mechanism passed in.

With E the item and P the position table, per layer (section 3.3)

    x_0 = dropout(E[items] * sqrt(D) + P)                     equation 2
    x <- x + dropout(attention(LN(x)))                        equations 3 and 4
    x <- x + dropout(W2 act(W1 LN(x) + b1) + b2)              equation 5
    scores = LN(x_L) E^T                                      equation 6, tied table

Queries, keys and values are all projected from LN(x), as the paper's g(x) = x + dropout(g(LN(x))) says.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.layer import make_layer
from linrec_bench.models.spec import ModelSpec, Recommender

_INIT_STD = 0.02


class SASRec(Recommender):
    """`hidden_size` D is a multiple of `heads`; `inner_size` of the feed-forward net is 4 D where None.

    A row holds at most `seq_len` items. `attention` names the mechanism, `attention_params` are its own.
    """

    def __init__(
        self,
        *,
        n_items: int,
        seq_len: int = 200,
        hidden_size: int = 64,
        heads: int = 2,
        layers: int = 2,
        inner_size: int | None = None,
        dropout: float = 0.2,
        attention: str = "softmax",
        attention_params: dict[str, object] | None = None,
        causal: bool = True,
    ) -> None:
        super().__init__()
        inner_size = 4 * hidden_size if inner_size is None else inner_size
        sizes = {"n_items": n_items, "seq_len": seq_len, "layers": layers, "inner_size": inner_size}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"model sasrec: {name} is {size}; expected at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"model sasrec: dropout is {dropout}; expected 0 <= dropout < 1")
        self.seq_len, self.causal = seq_len, causal
        self.items = nn.Embedding(n_items + 1, hidden_size, padding_idx=0)
        self.positions = nn.Embedding(seq_len, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                make_layer(
                    attention, hidden_size, heads, causal=causal, seq_len=seq_len, params=attention_params
                ),
                hidden_size=hidden_size,
                inner_size=inner_size,
                dropout=dropout,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.apply(_initialise)

    def forward(
        self, items: Int64[Tensor, "B N"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        length = items.shape[1]
        if length > self.seq_len:
            raise ValueError(f"items hold {length} positions; the model was built for seq_len {self.seq_len}")
        # A causal mechanism never looks at the padding on the right, so it is spared the mask.
        mask = None if self.causal else padding_mask
        scale = math.sqrt(self.items.embedding_dim)
        x = self.dropout(self.items(items) * scale + self.positions.weight[:length])
        for block in self.blocks:
            x = block(x, mask)
        hidden: Tensor = self.norm(x)
        return hidden

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        return self.items.weight


class Block(nn.Module):
    """Attention, then a feed-forward net at each position, each normalised before and added after."""

    def __init__(self, attention: nn.Module, *, hidden_size: int, inner_size: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = attention
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, inner_size),
            nn.GELU(),
            nn.Linear(inner_size, hidden_size),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        x = x + self.dropout(self.attention(self.attention_norm(x), padding_mask))
        x = x + self.dropout(self.feed_forward(x))
        return x


def _initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), biases 0, the padding row 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_INIT_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()


SPEC = ModelSpec(
    name="sasrec",
    title="SASRec: a stack of attention and feed-forward layers, tied output",
    paper="Kang and McAuley 2018, Self-Attentive Sequential Recommendation, arXiv 1808.09781",
    deviations=(
        "heads, hidden size and inner size are parameters (the paper: 1 head, D = 50, inner size D)",
        "GELU in place of ReLU; weights N(0, 0.02); a LayerNorm after the last layer",
        "no dropout on attention weights, which linear mechanisms do not have",
        "one dropout at the end of the feed-forward net, none inside it",
        "trained with cross entropy over the catalogue instead of one sampled negative",
    ),
    build=SASRec,
)
