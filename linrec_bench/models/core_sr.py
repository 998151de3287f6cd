"""CORE (Hou et al. 2022, arXiv 2204.11067), the variant with a transformer, with the mechanism passed in.

The session stays in the space of the items: it is a convex combination of their embeddings, whose weights
come from a transformer that is read for nothing else. With E the item and P the position table

    x_i = dropout(E[item_i])
    a_i = w . F_i + b,    F = transformer(x + P)
    h_n = sum_{i <= n} alpha_i x_i,    alpha = softmax(a_1 .. a_n)
    score(n, v) = cos(h_n, dropout(E[v])) / tau

The dropout of the candidates is the paper's robust distance; it acts in training alone. Upstream:
RUCAIBox/CORE, `core_trm.py`. The paper gives one h for a session; here each position has that of the prefix
which ends there, in one pass, so that a causal mechanism can learn from all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.ops.running_max import Running, prefixes
from linrec_bench.models.blocks import Encoder, RecBoleSettings, initialise, item_table
from linrec_bench.models.dropout import Dropout
from linrec_bench.models.parameter_checks import check_share
from linrec_bench.models.spec import ModelSpec, Recommender
from linrec_bench.models.stack import Memory


@dataclass(frozen=True, kw_only=True, eq=False)
class CORESettings(RecBoleSettings):
    """`dropout` is that of the transformer, `session_dropout` of the items that are summed, `item_dropout` of
    the candidates; `temperature` divides the cosines."""

    model: ClassVar[str] = "core"

    hidden_size: int = 100
    session_dropout: float = 0.2
    item_dropout: float = 0.2
    temperature: float = 0.07

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("core", session_dropout=self.session_dropout, item_dropout=self.item_dropout)
        if not self.temperature > 0:
            raise ValueError(f"model core: temperature is {self.temperature}; expected more than 0")


class CORE(Recommender):
    """A session as a weighted mean of its items; see the module."""

    def __init__(self, settings: CORESettings) -> None:
        super().__init__()
        size = settings.hidden_size
        self.items = item_table("core", settings.n_items, size)
        self.encoder = Encoder(settings)
        self.weigh = nn.Linear(size, 1)
        self.session_dropout = Dropout(settings.session_dropout)
        self.item_dropout = Dropout(settings.item_dropout)
        self.temperature = settings.temperature
        self.causal, self.needs_timestamps = settings.causal, settings.needs_timestamps
        initialise(self)
        with torch.no_grad():
            # Lengths do not count in cosines; they weigh the items of a session against each other.
            self.items.weight[1:].uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size))

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        x = self.session_dropout(self.items(items))
        logits = self.weigh(self.encoder(x, padding_mask, timestamps)).squeeze(-1)
        return F.normalize(prefix_means(logits, x), dim=-1) / self.temperature

    def init_state(self, batch_size: int) -> Memory:
        """That of the transformer, then the sums over the session so far."""
        sums = nothing_yet(self.items.weight.new_empty(batch_size, 0), self.items.embedding_dim)
        return *self.encoder.init_state(batch_size), tuple(sums)

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n D"]]:
        x = self.session_dropout(self.items(items))
        encoded, hidden = self.encoder.step(memory[:-1], x, timestamps)
        sums, means = running_means(Running(*memory[-1]), self.weigh(hidden).squeeze(-1), x)
        return (*encoded, tuple(sums)), F.normalize(means, dim=-1) / self.temperature

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        return F.normalize(self.item_dropout(self.items.weight), dim=-1)


def prefix_means(logits: Float[Tensor, "B N"], x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
    """sum_{i <= n} softmax(logits_1 .. logits_n)_i x_i at every n, in O(N D) and for logits of any size."""
    return running_means(nothing_yet(logits, x.shape[-1]), logits, x)[1]


def nothing_yet(logits: Float[Tensor, "B _"], width: int) -> Running:
    """The sums before the first token, for logits and x [B, N, width] of that type."""
    precise = torch.promote_types(logits.dtype, torch.float32)
    shape = (logits.shape[0], 1, 1)
    top = torch.full((*shape, 1), torch.finfo(precise).min, dtype=precise, device=logits.device)
    return Running(top, torch.zeros((*shape, width + 1), dtype=precise, device=logits.device))


def running_means(
    before: Running, logits: Float[Tensor, "B N"], x: Float[Tensor, "B N D"]
) -> tuple[Running, Float[Tensor, "B N D"]]:
    """`prefix_means` that go on from the sums `before`; and the sums after the last token."""
    precise = torch.promote_types(x.dtype, torch.float32)
    top = logits.detach().to(precise)
    # Each token's exponential is relative to itself: 1, with the gradient of the logit.
    one = (logits.to(precise) - top).exp()[..., None]
    tokens = Running(top[:, None, :, None], torch.cat((one * x, one), dim=-1)[:, None])
    found = prefixes(before, tokens)
    sums = found.sums[:, 0]
    return found.map(lambda part: part[:, :, -1:]), (sums[..., :-1] / sums[..., -1:]).to(x.dtype)


SPEC = ModelSpec(
    name="core",
    title="CORE: a session is a weighted mean of its items, scored by cosine",
    paper="Hou et al. 2022, CORE, arXiv 2204.11067",
    deviations=(
        "a state for every prefix; the paper has one for a whole session",
        "the transformer has weights N(0, 0.02); the official code draws all of them, those of the layer "
        "norms too, from the uniform distribution that the items have here",
        "no dropout on attention weights, which linear mechanisms do not have",
        "bidirectional where the suite asks for it; the official code is causal",
    ),
    build=CORE,
    settings=CORESettings,
    objectives=("last_position", "all_positions"),
    streams=True,
)
