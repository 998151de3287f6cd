"""The dials of a watermark in a suite: their defaults are those of what plants it."""

import inspect

import pytest

from linrec_bench.data import watermark
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.suite.select import select
from linrec_bench.suite.watermark_config import Watermark

SUITE = """\
task: {task}
attention: [softmax, linrec]
model: sasrec
dataset: synthetic
fixed: {{seq_len: 50, causal: true}}
watermark: {marks}
"""


def test_defaults_are_those_of_the_functions():
    dials = {**inspect.signature(watermark.draw).parameters, **inspect.signature(watermark.plant).parameters}
    for name, field in Watermark.model_fields.items():
        assert dials[name].default == field.default, name


def jobs(marks, task="recommend"):
    text = SUITE.format(marks=marks, task=task)
    return expand(load.parse(text, name="s.yaml", stem="s", device="cpu"), device="cpu")


def test_every_watermark_is_a_case_of_each_mechanism():
    labels = [job.case.dataset_label for job in jobs("[{distance: 0}, {distance: 8, share: 0.2}]")]
    assert labels == [
        *["synthetic+watermark(distance=0)"] * 2,
        *["synthetic+watermark(distance=8,share=0.2)"] * 2,
    ]


def test_one_watermark_needs_no_list():
    assert len({job.case.id for job in jobs("{patterns: 3}")}) == 2


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ("{distnace: 1}", "Did you mean 'distance'"),
        ("{share: 0}", "greater than 0"),
        ("{length: 1}", "greater than or equal to 2"),
    ],
)
def test_impossible_dials_are_refused_at_load(marks, said):
    with pytest.raises(ValueError, match=said):
        jobs(marks)


def test_a_watermark_has_no_use_without_training():
    with pytest.raises(ValueError, match="watermark does not apply to task train_step"):
        jobs("{distance: 1}", task="train_step")


@pytest.mark.parametrize(
    ("expression", "left"),
    [("watermark_distance=8", 2), ("watermark_distance<=8", 4), ("watermark_distance>8", 0)],
)
def test_cases_are_selected_by_distance(expression, left):
    assert len(select(jobs("[{distance: 0}, {distance: 8}]"), [expression])) == left


def test_a_case_without_a_watermark_has_no_distance():
    assert select(jobs("[]"), ["watermark_distance>=0"]) == []
