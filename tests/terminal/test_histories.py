from linrec_bench.data.description import Bin
from linrec_bench.terminal.histories import histogram

BINS = [Bin(1, 1, 1), Bin(2, 3, 0), Bin(1_048_576, 2_097_151, 300_000_000), Bin(4, 7, 150_000_000)]


def test_a_bar_is_in_proportion_and_the_least_shows():
    lines = histogram(BINS, blocks=True)
    whole, half = lines[3].count("█"), lines[4].count("█")
    assert whole > 20
    assert half == whole // 2
    assert lines[1].endswith("▏")
    assert lines[2].endswith("0.0%  ")
    assert "1,048,576 to 2,097,151" in lines[3]


def test_plain_characters_and_the_width_of_a_terminal():
    plain = histogram(BINS, blocks=False)
    assert all(line.isascii() for line in plain)
    assert plain[1].endswith("#")
    for lines in (plain, histogram(BINS, blocks=True), histogram(BINS[:2], blocks=True)):
        assert max(map(len, lines)) == 79
