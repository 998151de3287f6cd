import math

from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.terminal.block_chart import BLOCKS, sparklines

LENGTHS = [256, 512, 1024, 2048]


def test_the_power_of_n_shows_as_the_slope():
    quadratic, linear, flat = sparklines(
        LENGTHS, [[n**2 for n in LENGTHS], [3e6 * n for n in LENGTHS], [5.0] * 4]
    )
    assert (quadratic[0], quadratic[-1]) == (BLOCKS[0], BLOCKS[-1])
    assert BLOCKS.index(linear[-1]) in (3, 4)
    assert flat == BLOCKS[0] * 4


def test_noise_on_flat_rows_stays_flat():
    assert sparklines(LENGTHS, [[1.0, 1.1, 0.9, 1.05]]) == [BLOCKS[0] * 4]


def test_what_was_not_measured_is_a_gap():
    (line,) = sparklines(LENGTHS, [[math.nan, 1.0, 8.0, math.nan]])
    assert line[0] == line[3] == " "
    assert line[1:3] == BLOCKS[0] + BLOCKS[-1]
    assert sparklines(LENGTHS, [[math.nan] * 4]) == [" " * 4]


@given(
    st.lists(st.lists(st.floats(0, 1e12) | st.just(math.nan), min_size=4, max_size=4), min_size=1, max_size=3)
)
def test_every_row_has_a_character_a_length(rows):
    assert all(len(line) == 4 and set(line) <= {*BLOCKS, " "} for line in sparklines(LENGTHS, rows))
