"""The settings of a watermark, planted in training histories (`data/watermark.py`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from linrec_bench.case import Params, freeze
from linrec_bench.suite.base_models import NotNegative, Positive, Strict, as_sequence


class Watermark(Strict):
    """`{distance: 8, share: 0.01}`: sequences of rare items, the last `distance` events after the others."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    distance: NotNegative = 0
    """Number of ordinary events between the body of a sequence and its target."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of the users whose histories get a sequence, one each."""
    patterns: Positive = 1
    """Number of different sequences; each is given to the same number of users."""
    length: Annotated[int, Field(ge=2)] = 3
    """Items of a sequence, target included."""
    rarity: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the items that counts as rare; sequences consist of these."""

    @property
    def params(self) -> Params:
        """The distance, and every other setting that differs from its default."""
        return freeze({"distance": self.distance} | self.model_dump(exclude_defaults=True))


Watermarks = Annotated[
    tuple[Watermark, ...], BeforeValidator(as_sequence, json_schema_input_type=Watermark | list[Watermark])
]
