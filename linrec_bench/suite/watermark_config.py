"""The settings of a watermark, planted in training histories (`data/watermark.py`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt

from linrec_bench.case import Params, freeze
from linrec_bench.suite.base_models import Strict, as_sequence


class Watermark(Strict):
    """`{distance: 8, share: 0.01}`: runs of rare items, their target `distance` events behind their body."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    distance: NonNegativeInt = 0
    """Ordinary events between the body of a run and its target."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of the users whose histories are marked, each with one run."""
    patterns: PositiveInt = 1
    """Different runs; marked users get them in equal numbers."""
    length: Annotated[int, Field(ge=2)] = 3
    """Items of a run, its target included."""
    rarity: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the items that counts as rare; runs are made of these."""

    @property
    def params(self) -> Params:
        """The distance, and every other setting that differs from its default."""
        return freeze({"distance": self.distance} | self.model_dump(exclude_defaults=True))


Watermarks = Annotated[
    tuple[Watermark, ...], BeforeValidator(as_sequence, json_schema_input_type=Watermark | list[Watermark])
]
