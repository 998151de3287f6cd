"""Values are what they look like, and reading ends: against YAML 1.1, bombs and depth."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linrec_bench.suite.strict_yaml import MOST_BYTES, Fault, read

SUITE = "task: core\nattention: [softmax]\ngrid: {seq_len: [8]}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100", 100),
        ("-5", -5),
        ("0", 0),
        ("1e-3", 1e-3),
        ("1.", 1.0),
        (".5", 0.5),
        (".inf", float("inf")),
        ("true", True),
        ("null", None),
        ("~", None),
        ("'0100'", "0100"),
        ("!!str 0100", "0100"),
        ("2012-04-03", "2012-04-03"),
        ("no-op", "no-op"),
        ("y", "y"),
        ("1 2", "1 2"),
        ("[1, a, {b: c}]", [1, "a", {"b": "c"}]),
        ("{a: &x {b: 1, c: 2}, d: {<<: *x, c: 3}}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    ],
)
def test_values_are_what_they_look_like(text, value):
    found = read(text)[1]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "0100",
        "0128",
        "-007",
        "1:30",
        "10:00",
        "1:30.5",
        "yes",
        "No",
        "ON",
        "off",
        "1_000",
        "0x1F",
        "0b11",
        "0o7",
    ],
)
def test_what_yaml_1_1_reads_as_something_else_is_refused_with_its_place(text):
    with pytest.raises(
        Fault, match="is read in different ways by different tools; write a number as 100"
    ) as caught:
        read(f"a: 1\nb: [2, {text}]")
    assert (caught.value.mark.line, caught.value.mark.column) == (1, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!int abc", "the tag"),
        ("!!timestamp x", "the tag"),
        ("!!bool maybe", "the tag"),
        ("!!python/object/apply:os.system [x]", "the tag"),
        ("!mine 3", "the tag"),
        ("9" * 5000, "is too large a number"),
        ("1e400", "is too large a number"),
        ("{a: 1, a: 2}", "'a' stands twice"),
        ("{[1]: 2}", "a key is a list or a mapping"),
        ("{<<: 3}", "<< merges mappings"),
        ("a: &a [*a]", "nested deeper"),
        ("&a {b: *a}", "nested deeper"),
        ("[" * 900, "nested deeper"),
        ("[" * 50 + "]" * 50, "nested deeper"),
        ("title: \x1b[1mbold", "special characters are not allowed at position"),
        ("a: *b", "undefined alias"),
        ("title: " + "x" * MOST_BYTES, "expected at most 1,048,576"),
    ],
)
def test_what_is_not_read_is_a_fault(text, message):
    with pytest.raises(Fault, match=message):
        read(text)


def test_an_alias_bomb_is_refused_at_once():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    begun = time.process_time()
    with pytest.raises(Fault, match="more than 100,000 values, with those of aliases"):
        read(bomb)
    # Expanded whole it has 10^10 values.
    assert time.process_time() - begun < 10


@settings(max_examples=200)
@given(
    st.text(
        st.characters(exclude_categories=("Cs",)) | st.sampled_from("&*!:-[]{}#'\"\n \t%@<0o_"), max_size=60
    )
)
def test_any_text_is_read_or_a_fault(text):
    # Any other exception fails the test.
    with contextlib.suppress(Fault):
        read(text)
