"""Queries under `attention:`: `all`, or conditions on what SPECs declare, resolved to names of mechanisms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from linrec_bench.registry import did_you_mean
from linrec_bench.suite.base_models import Named, Strict, Truth, as_sequence
from linrec_bench.suite.expectation import BoundText, bound_limits
from linrec_bench.suite.source_map import Location

if TYPE_CHECKING:
    from linrec_bench.attention.spec import Spec

ALL: Literal["all"] = "all"
_BOUNDED = ("time_exponent", "memory_exponent", "state_exponent")


class MechanismQuery(Strict):
    """Every mechanism whose SPEC meets all conditions, in the order of their names.

    For example `{causal: true, time_exponent: "<= 1", except: [no-op]}`. Where the model of the sweep takes
    only mechanisms of its own, the query chooses among these.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)
    alternative_keys: ClassVar = ("name",)

    causal: Truth | None = None
    """Whether there is a causal form."""
    bidirectional: Truth | None = None
    """Whether there is a bidirectional form."""
    honours_padding: Truth | None = None
    """Whether a padding mask is honoured."""
    permutation_equivariant: Truth | None = None
    """Whether the bidirectional form ignores the order of tokens."""
    decodes: Truth | None = None
    """Whether it can decode event by event."""
    gate_module: Truth | None = None
    """Whether the core takes tensors besides q, k and v, such as gates."""
    layer: Truth | None = None
    """Whether the published layer is more than projections around the core."""
    timestamps: Truth | None = None
    """Whether the layer takes the times of events."""
    backend: str | None = None
    """A value that its parameter `backend` offers, such as `native`."""
    time_exponent: BoundText | None = None
    """Bound on the declared exponent of N in operations, such as `"<= 1"`."""
    memory_exponent: BoundText | None = None
    """Bound on the declared exponent of N in the peak of live bytes."""
    state_exponent: BoundText | None = None
    """Bound on the declared exponent of N in the bytes of the state, of mechanisms that decode."""
    except_: tuple[str, ...] = Field(default=(), alias="except")
    """Names of mechanisms to leave out."""

    @model_validator(mode="after")
    def _not_empty(self) -> MechanismQuery:
        if not self.model_fields_set:
            raise ValueError("an empty query; expected conditions such as causal: true, or the word all")
        return self

    def check_names(self, specs: Mapping[str, Spec]) -> None:
        """Raise `ValueError` for a mechanism or a back end that no SPEC declares."""
        backends = sorted({backend for spec in specs.values() for backend in _backends(spec)})
        for what, given, known in (
            ("attention", self.except_, list(specs)),
            ("backend", () if self.backend is None else (self.backend,), backends),
        ):
            for name in given:
                if name not in known:
                    raise ValueError(
                        f"unknown {what} {name!r}; expected one of: {', '.join(known)}."
                        f"{did_you_mean(name, known)}"
                    )

    def selects(self, spec: Spec) -> bool:
        """Whether the SPEC meets every condition."""
        decodes = spec.step is not None
        declared = {
            "causal": spec.causal,
            "bidirectional": spec.bidirectional,
            "honours_padding": spec.honours_padding,
            "permutation_equivariant": spec.permutation_equivariant,
            "decodes": decodes,
            "gate_module": spec.gate_module is not None,
            "layer": spec.layer is not None,
            "timestamps": spec.timestamps,
        }
        exponents = {name: getattr(spec, name) for name in _BOUNDED if name != "state_exponent" or decodes}
        return (
            spec.name not in self.except_
            and all(getattr(self, name) in (None, value) for name, value in declared.items())
            and (self.backend is None or self.backend in _backends(spec))
            and all(_within(getattr(self, name), exponents.get(name)) for name in _BOUNDED)
        )

    def __str__(self) -> str:
        conditions = self.model_dump(exclude_unset=True, by_alias=True)
        return ", ".join(f"{name}: {_as_yaml(value)}" for name, value in conditions.items())


AttentionEntry = Literal["all"] | MechanismQuery | Named

Attention = Annotated[
    tuple[Named, ...],
    BeforeValidator(
        as_sequence,
        json_schema_input_type=AttentionEntry | Annotated[list[AttentionEntry], Field(min_length=1)],
    ),
    Field(min_length=1),
]
"""Mechanisms by name; in a file also by query, which `resolve` replaces first."""


class QueryError(Exception):
    """A query that is wrong, at a place below `attention`; `reason` says what is wrong."""

    def __init__(self, at: Location, reason: ValueError) -> None:
        super().__init__(at, reason)
        self.at, self.reason = at, reason


def resolve(written: object, *, model: object) -> Iterator[tuple[object, Location]]:
    """The entries of `attention:` with every query replaced by the names that it selects, sorted, and below
    `attention` the place in the file that each entry comes from.

    `written` and `model` are values as the file has them. A mechanism that is also named, or selected twice,
    comes once, in the first place. Raises `QueryError`.
    """
    entries = list(enumerate(written)) if isinstance(written, list) else [(None, written)]
    taken = {_name(entry) for _, entry in entries if isinstance(entry, str) or _keys(entry) == {"name"}}
    for index, entry in entries:
        at: Location = () if index is None else (index,)
        if not _is_query(entry):
            yield entry, at
            continue
        try:
            names = _selected(entry, model)
        except ValueError as error:
            raise QueryError(at, error) from error
        for name in names:
            if name not in taken:
                taken.add(name)
                yield name, at


def _is_query(entry: object) -> bool:
    return entry == ALL or (isinstance(entry, dict) and "name" not in entry)


def _selected(entry: object, model: object) -> list[str]:
    from linrec_bench import attention

    specs = attention.registry()
    query = None if entry == ALL else MechanismQuery.model_validate(entry)
    if query is not None:
        query.check_names(specs)
    names = sorted(name for name, spec in specs.items() if query is None or query.selects(spec))
    fitting = [name for name in names if _fits(model, name)]
    if not fitting:
        of_model = f" of model {_name(model)}" if names else ""
        raise ValueError(f"no mechanism{of_model} has {query}; see linrec-bench list attention")
    return fitting


def _fits(model: object, mechanism: str) -> bool:
    """Whether a model, where one is given and known, takes the mechanism."""
    from linrec_bench import models

    name = _name(model)
    if not isinstance(name, str) or name not in models.registry():
        return True
    try:
        models.registry()[name].check_attention(mechanism)
    except ValueError:
        return False
    return True


def _name(model: object) -> object:
    return model.get("name") if isinstance(model, dict) else model


def _keys(entry: object) -> set[object]:
    return set(entry) if isinstance(entry, dict) else set()


def _backends(spec: Spec) -> tuple[str, ...]:
    """The values that the setting `backend` may have; none where there is no choice."""
    return ("eager", *spec.backends) if spec.backends else ()


def _within(bound: str | None, exponent: float | None) -> bool:
    if bound is None:
        return True
    low, high = bound_limits(bound)
    return exponent is not None and low <= exponent <= high


def _as_yaml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
