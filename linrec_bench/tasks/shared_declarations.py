"""Phases and quantities that several tasks declare alike."""

from linrec_bench.declarations import Quantity

CALLS = {"forward": "forward", "forward_backward": "forward + backward"}

TOKENS = (
    Quantity(
        "padded_tokens",
        "1",
        "positions of the batch, padding included",
        column="padded_tokens",
        summarised="extra",
    ),
    Quantity(
        "effective_tokens",
        "1",
        "positions of the batch that hold an event",
        column="effective_tokens",
        summarised="extra",
    ),
)

CATALOGUE_SIZE = Quantity(
    "catalogue_size",
    "1",
    "items that a training step without a data set ranks",
    column="catalogue_size",
    summarised="extra",
)
