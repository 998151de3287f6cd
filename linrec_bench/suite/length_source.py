"""How long the rows of a batch are: all of `seq_len`, or drawn from the histories of a data set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from linrec_bench.case import Params, freeze

FULL: Literal["full"] = "full"


class Drawn(BaseModel):
    """`{dataset: ml-1m}`: lengths of the histories of a data set, with its own parameters beside its name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    dataset: str

    @property
    def params(self) -> Params:
        return freeze(dict(self.model_extra or {}))


Lengths = Literal["full"] | Drawn


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


LengthsAxis = Annotated[
    tuple[Lengths, ...],
    BeforeValidator(_as_list, json_schema_input_type=Lengths | list[Lengths]),
    Field(min_length=1),
]
