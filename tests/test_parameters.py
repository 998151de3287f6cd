"""What a declaration says of its parameters is what it accepts."""

from typing import Literal

import pytest

from linrec_bench.parameters import check_parameters, parameters_of


def declared(
    *,
    path: str,
    padding: Literal["mask", "ignore"] = "mask",
    one: Literal["only"] = "only",
    eps: float = 1e-6,
    layers: int = 2,
    window: int | None = None,
    learnt: bool = False,
    untyped=None,
):
    """A function as registries hold them."""


class Built:
    def __init__(self, *, size: int = 3) -> None:
        self.size = size


def check(**given):
    check_parameters("thing x", parameters_of(declared), {"path": "here"} | given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"padding": "ignore"},
        {"eps": 0.5},
        {"eps": 1},
        {"layers": 3},
        {"window": None},
        {"window": 3},
        {"learnt": True},
    ],
)
def test_what_is_declared_is_accepted(given):
    check(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"pading": "mask"},
            r"thing x has no parameter 'pading'; it has: path, .*Did you mean 'padding'",
        ),
        ({"padding": "drop"}, "thing x: padding is 'drop'; expected one of 'mask', 'ignore'"),
        ({"one": "two"}, "one is 'two'; expected 'only'"),
        ({"eps": "small"}, "eps is 'small'; expected number"),
        ({"eps": True}, "eps is True; expected number"),
        ({"layers": 1.0}, "layers is 1.0; expected integer"),
        ({"layers": True}, "layers is True; expected integer"),
        ({"layers": "2"}, "layers is '2'; expected integer"),
        ({"window": "all"}, "window is 'all'; expected integer or none"),
        ({"learnt": 1}, "learnt is 1; expected true or false"),
        ({"untyped": 1}, "the parameter untyped has no type annotation"),
    ],
)
def test_what_is_not_is_refused_in_one_line(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        check(**given)
    assert "\n" not in str(caught.value)


def test_what_has_no_default_must_be_given():
    with pytest.raises(ValueError, match="thing x needs the parameter 'path'; it is missing"):
        check_parameters("thing x", parameters_of(declared), {})


def test_a_class_declares_by_its_constructor():
    assert {name: p.annotation for name, p in parameters_of(Built).items()} == {"size": int}
    with pytest.raises(ValueError, match="size is 'big'"):
        check_parameters("thing y", parameters_of(Built), {"size": "big"})
