"""Signs of formulas survive Markdown and tables; docstrings become paragraphs and blocks."""

import inspect
from typing import Literal

import pytest

from docs.generator.markdown import (
    code,
    documentation,
    example,
    formula,
    joined,
    linked,
    parameter_table,
    prose,
    table,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("S_t = a * b", "S_t = a \\* b"),
        ("S_(t-1) and _x", "S\\_(t-1) and \\_x"),
        ("|k| < 1 & more", "&#124;k&#124; &lt; 1 &amp; more"),
        ("phi(q)[x] and [B, N]", "phi(q)\\[x\\] and \\[B, N\\]"),
        ("`a_*|b` stays", "<code>a&#95;&#42;&#124;b</code> stays"),
        ("two\n  lines", "two lines"),
    ],
)
def test_prose_shows_every_sign(given, expected):
    assert prose(given) == expected


def test_code_in_a_table_keeps_its_bars():
    assert code("x = 1") == "`x = 1`"
    assert code("exp(-|y|^2) < `z`") == "<code>exp(-&#124;y&#124;^2) &lt; &#96;z&#96;</code>"


def test_powers_are_raised():
    assert formula("4 N d^2 a head, N^1.5") == "4 N d<sup>2</sup> a head, N<sup>1.5</sup>"
    assert formula("k^T v, b N^p, x^y") == "k<sup>T</sup> v, b N<sup>p</sup>, x^y"


def test_papers_and_repositories_are_linked():
    assert linked("SIGIR 2023, arXiv 2411.01537.") == (
        "SIGIR 2023, [arXiv 2411.01537](https://arxiv.org/abs/2411.01537)."
    )
    assert linked("doi 10.1145/3404835.3462978, x") == (
        "[doi 10.1145/3404835.3462978](https://doi.org/10.1145/3404835.3462978), x"
    )
    assert linked("github.com/idiap/fast-transformers, layers.py") == (
        "[github.com/idiap/fast-transformers](https://github.com/idiap/fast-transformers), layers.py"
    )
    assert linked("none") == "none"


def test_a_table_without_rows_is_nothing():
    assert table(("a", "b"), []) == ""
    assert table(("a", "b"), [("1", "2")]) == "\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"


def test_a_docstring_is_a_sentence_paragraphs_and_blocks():
    first, rest = documentation(
        """It goes on
        for two lines.

            o = v

              indented

        A * B
        wraps.
        """
    )
    assert first == "It goes on for two lines."
    assert rest == "``` { .text .formula }\no = v\n\n  indented\n```\n\nA \\* B wraps."
    assert documentation(None) == ("", "")


def test_parts_are_joined_by_empty_lines():
    assert joined(["a\n", "", "b", "\n"]) == "\na\n\nb\n\n"


def parameter(annotation, value=inspect.Parameter.empty):
    return inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=value)


def test_parameters_have_their_values_and_defaults():
    shown = parameter_table(
        {
            "path": parameter(str),
            "folder": parameter(str | None, None),
            "on": parameter(bool, False),
            "padding": parameter(Literal["mask", "ignore"], "mask"),
        }
    )
    assert shown.strip().splitlines()[2:] == [
        "| `path` | text | required |",
        "| `folder` | text or none | none |",
        "| `on` | true or false | `false` |",
        "| `padding` | one of 'mask', 'ignore' | `mask` |",
    ]
    assert parameter_table({}) == ""


def test_an_example_is_another_choice_than_the_default():
    assert example(parameter(Literal["mask", "ignore"], "mask")) == "ignore"
    assert example(parameter(int, 16)) == "16"
    assert example(parameter(str)) == "..."
