"""Annotations and defaults in the words of who writes a suite."""

import inspect
from pathlib import Path
from typing import Annotated, Literal

import pytest

from linrec_bench.reference.signature import default, example, parameter_table, values


def parameter(annotation, value=inspect.Parameter.empty):
    return inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=value)


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (int, "integer"),
        (float | None, "number or none"),
        (bool, "true or false"),
        (Literal["mask", "ignore"], "one of `mask`, `ignore`"),
        (Literal["only"], "`only`"),
        (list[Path], "list of path"),
        (tuple[int, ...], "list of integer"),
        (dict[str, object], "mapping"),
        (Annotated[str, "x"], "text"),
        (bytes, "`bytes`"),
    ],
)
def test_values_in_words(annotation, said):
    assert values(annotation) == said


def test_defaults_as_a_suite_writes_them():
    assert [default(value) for value in (1e-6, True, "mask", None, "")] == [
        "`1e-06`",
        "`true`",
        "`mask`",
        "",
        "",
    ]


def test_an_example_is_another_choice_than_the_default():
    assert example(parameter(Literal["mask", "ignore"], "mask")) == "ignore"
    assert example(parameter(int, 16)) == "16"
    assert example(parameter(str)) == "..."


def test_a_parameter_without_a_default_is_required():
    shown = parameter_table({"path": parameter(str), "folder": parameter(str | None, None)})
    assert "| `path` | text | required |" in shown
    assert "| `folder` | text or none | none |" in shown
    assert parameter_table({}) == ""
