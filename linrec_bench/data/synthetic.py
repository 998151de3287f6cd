"""`synthetic`: generated histories in which the next item follows from the one `distance` events back.

The catalogue is a ring in random order, so that every item has one successor. A user follows `distance`
threads in turn and each thread moves along the ring: with sigma the successor,

    x_t = sigma(x_{t - distance})   with probability 1 - noise,   else uniform over the catalogue,

and uniform for t < distance. Items are equally popular, and for distance >= 2 the items before x_t that are
nearer than `distance` say nothing about it. So Recall@10 on any event is at most

    10 / items                            for a model that sees the current item only, whatever it learns,
    1 - noise + noise * 10 / items        for one that finds the item `distance` back and knows sigma.

(Where seen items are no candidates the first bound is 10 / (items - history length).) A model that knows
sigma and which items it has seen, but not when, can still name the `distance` possible next items: a high
Recall@10 for distance <= 10, and an NDCG@10 of about a third to a half. A model whose window is shorter than
`distance` is blind.

With `features` F > 0 the ring is cut into F arcs of like length, and the arc of an item is its one feature:
knowing it, a model has the next item of a thread down to about items / F.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from linrec_bench.data.sequences import Sequences
from linrec_bench.data.source import Source

_DAY_S = 24 * 3600
_ARRIVAL_S = 30 * _DAY_S
_LONGEST = 16
"""The longest history over the mean, about that of MovieLens-1M."""


def load(
    *,
    users: int = 500,
    items: int = 100,
    length: int = 40,
    distance: int = 4,
    noise: float = 0.05,
    seed: int = 0,
    features: int = 0,
    sigma: float = 0.0,
) -> Sequences:
    """`users` histories of `length` events on average, uniform from half of it to one and a half times it.

    With `sigma` above 0 the lengths are log-normal, as in real data (1.0 is near ML-1M): many are short and a
    few very long, at most sixteen times `length`.

    Times in seconds: each user starts at a moment of the first 30 days and acts once a day on average, so
    that a global temporal split is meaningful. Equal arguments give equal data; `features` change no event.

    Raises `ValueError` for sizes below 1, a noise outside [0, 1], a sigma outside [0, 3], a distance longer
    than the shortest history, and more features than items.
    """
    for name, value, fits, expected in (
        ("users", users, users >= 1, "1 or more"),
        ("items", items, items >= 2, "2 or more"),
        ("distance", distance, distance >= 1, "1 or more"),
        ("noise", noise, 0 <= noise <= 1, "a probability between 0 and 1"),
        ("sigma", sigma, 0 <= sigma <= 3, "a number from 0 to 3"),
        ("features", features, 0 <= features <= items, f"0 for none, or up to one an item ({items})"),
    ):
        if not fits:
            raise ValueError(f"data synthetic: {name} is {value}; expected {expected}")
    shortest, longest = length // 2, length + length // 2
    if shortest <= distance:
        raise ValueError(
            f"data synthetic: the shortest history has {shortest} events, too few for distance {distance}; "
            f"expected a length of {2 * distance + 2} or more"
        )
    drawn = _log_normal(users, length, sigma, least=distance + 1, seed=seed) if sigma else None
    if drawn is not None:
        longest = int(drawn.max())
    rng = np.random.default_rng(seed)
    ring = rng.permutation(items)
    history = _threads(rng, ring, (users, longest), distance=distance, noise=noise)
    gaps = rng.exponential(_DAY_S, size=(users, longest)).cumsum(axis=1)
    times = (rng.uniform(0, _ARRIVAL_S, size=(users, 1)) + gaps).astype(np.int64)

    lengths = rng.integers(shortest, longest + 1, size=users) if drawn is None else drawn
    kept = np.arange(longest) < lengths[:, None]
    return Sequences(
        items=(history[kept] + 1).astype(np.int32),
        timestamps=times[kept],
        offsets=np.concatenate(([0], lengths.cumsum())),
        n_items=items,
        item_features=_arcs(ring, features) if features else None,
    )


def _threads(
    rng: np.random.Generator,
    ring: Int64[np.ndarray, " V"],
    size: tuple[int, int],
    *,
    distance: int,
    noise: float,
) -> Int64[np.ndarray, "U N"]:
    """Items from 0, of which each follows along the ring from the one `distance` back, or from none."""
    successor = np.empty(len(ring), dtype=np.int64)
    successor[ring] = np.roll(ring, -1)
    history = rng.integers(len(ring), size=size)
    follows = rng.random(size) >= noise
    for t in range(distance, size[1]):
        history[:, t] = np.where(follows[:, t], successor[history[:, t - distance]], history[:, t])
    return history


def _log_normal(users: int, length: int, sigma: float, *, least: int, seed: int) -> Int64[np.ndarray, " U"]:
    """Lengths whose mean is `length` (before clipping), from a separate random generator."""
    rng = np.random.default_rng([seed, 1])
    lengths = rng.lognormal(np.log(length) - sigma**2 / 2, sigma, size=users)
    return np.clip(np.rint(lengths), least, _LONGEST * length).astype(np.int64)


def _arcs(ring: Int64[np.ndarray, " V"], features: int) -> Int64[np.ndarray, "V_plus_1 1"]:
    """The number of the arc of each item, from 1; 0 for the padding."""
    table = np.zeros((len(ring) + 1, 1), dtype=np.int64)
    table[ring + 1, 0] = 1 + np.arange(len(ring)) * features // len(ring)
    return table


SOURCES = (
    Source(
        name="synthetic",
        title="generated histories whose next item follows from the one `distance` events back",
        licence="generated",
        read=load,
    ),
)
