"""One line about what foreign code raises."""

from linrec_bench.error_text import LONGEST, in_a_line


def test_it_is_the_first_line_and_has_an_end():
    assert in_a_line(ValueError("\nfirst\nsecond")) == "ValueError: first"
    assert len(in_a_line(ValueError("x" * 10**6))) == LONGEST


def test_the_place_is_where_it_was_raised():
    try:
        {}["key"]
    except KeyError as error:
        said = in_a_line(error, place=True)
    assert said.startswith("KeyError: 'key' (test_error_text.py:")
