"""Blocks are handed to the innermost taker, and to the one around it when it is done."""

from linrec_bench import block_cache


def taker(name):
    return lambda function, inputs: (name, function(*inputs))


def test_without_a_taker_blocks_run():
    assert block_cache.run(max, 1, 2) == 2


def test_a_taker_ends_with_its_block_and_the_one_around_it_goes_on():
    with block_cache.taken_by(taker("outer")):
        with block_cache.taken_by(taker("inner")):
            assert block_cache.run(max, 1, 2) == ("inner", 2)
        assert block_cache.run(max, 1, 2) == ("outer", 2)
        with block_cache.taken_by(None):
            assert block_cache.run(max, 1, 2) == 2
        assert block_cache.run(max, 1, 2) == ("outer", 2)
    assert block_cache.run(max, 1, 2) == 2


def test_an_error_inside_leaves_the_taker_around_it_in_place():
    with block_cache.taken_by(taker("outer")):
        try:
            with block_cache.taken_by(taker("inner")):
                raise ValueError
        except ValueError:
            pass
        assert block_cache.run(max, 1, 2) == ("outer", 2)
