"""Phases and quantities that several tasks declare alike."""

from linrec_bench.declarations import Quantity

CALLS = {"forward": "forward", "forward_backward": "forward + backward"}

TOKENS = (
    Quantity(
        "padded_tokens", "1", "positions of the batch, padding included", summarised="extra", whole=True
    ),
    Quantity(
        "effective_tokens", "1", "positions of the batch that hold an event", summarised="extra", whole=True
    ),
)

CATALOGUE_SIZE = Quantity(
    "catalogue_size",
    "1",
    "items that a training step without a data set ranks",
    summarised="extra",
    whole=True,
)
