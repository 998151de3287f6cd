from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.suite.expand import expand
from linrec_bench.suite.schema import Suite
from linrec_bench.suite.select import select


def suite(*sweeps, **changes):
    base = {"task": "core", "attention": ["softmax", "linrec"], "grid": {"seq_len": [8, 16]}}
    return Suite.model_validate(
        {"name": "s", "sweeps": [base | sweep for sweep in (sweeps or ({},))]} | changes
    )


LENGTHS = st.lists(st.integers(1, 10**6), min_size=1, max_size=4, unique=True)
SIZES = st.lists(st.sampled_from([8, 16, 32, 64]), min_size=1, max_size=3, unique=True)


@given(lengths=LENGTHS, batches=SIZES, widths=SIZES, causal=st.booleans())
def test_a_grid_is_the_product_of_its_axes_each_case_once(lengths, batches, widths, causal):
    grid = {"seq_len": lengths, "batch_size": batches, "hidden_size": widths}
    jobs = expand(suite({"grid": grid, "fixed": {"causal": causal}}), device="cpu")
    assert len(jobs) == 2 * 2 * prod(map(len, grid.values()))
    assert len({job.case.id for job in jobs}) == len(jobs)
    assert {job.case.seq_len for job in jobs} == set(lengths)
    assert all(job.case.causal is causal for job in jobs)


def test_the_order_is_the_same_each_time_and_mechanisms_stand_together():
    first, second = (expand(suite(), device="cpu") for _ in range(2))
    assert first == second
    assert [job.case.attention for job in first[:2]] == ["softmax", "linrec"]
    assert first[0].case.seq_len == first[1].case.seq_len


def test_two_sweeps_may_not_ask_for_one_case():
    with pytest.raises(ValueError, match="two sweeps ask for the same case"):
        expand(suite({}, {}), device="cpu")


def test_an_impossible_width_is_refused():
    with pytest.raises(ValueError, match="not a multiple of heads 3"):
        expand(suite({"fixed": {"heads": 3}}), device="cpu")


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        (["attention=linrec"], 4),
        (["attention!=linrec"], 4),
        (["attention=linrec|softmax seq_len<=8"], 4),
        (["seq_len>8", "phase=forward"], 2),
        (["seq_len >= 17"], 0),
        (["causal=false"], 8),
        ([], 8),
    ],
)
def test_only_selects_by_conditions(expressions, expected):
    assert len(select(expand(suite(), device="cpu"), expressions)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("attention", "cannot read 'attention'"),
        ("attnetion=x", "Did you mean 'attention'"),
        ("seq_len<abc", "'abc' is not a number"),
        ("attention<3", "attention has no order"),
        ("", "cannot read"),
    ],
)
def test_a_bad_expression_is_said(expression, expected):
    with pytest.raises(ValueError, match=expected):
        select(expand(suite(), device="cpu"), [expression])


def test_a_model_that_counts_is_one_case_a_length_and_seed():
    grid = {"seq_len": [8, 16], "causal": [True, False], "hidden_size": [8, 16], "seed": [0, 1]}
    sweep = {"task": "recommend", "model": "popularity", "dataset": "synthetic", "grid": grid}
    jobs = expand(suite(sweep), device="cpu")
    assert [(job.case.seq_len, job.case.seed) for job in jobs] == [(8, 0), (8, 1), (16, 0), (16, 1)]
    assert {job.case.attention_label for job in jobs} == {"no-op"}
    assert len(expand(suite({**sweep, "model": "sasrec"}), device="cpu")) == 2 * 2**4
