"""Event by event: every model that says `streams` gives what its forward over the whole rows gives."""

import pytest
import torch

from linrec_bench import models
from linrec_bench.attention.spec import Unsupported

STREAMING = {name: spec for name, spec in models.registry().items() if spec.streams}
CASES = [
    (name, mechanism)
    for name, spec in STREAMING.items()
    for mechanism in spec.mechanisms or ("softmax", "linrec", "linrec-column", "retnet", "sliding-window")
]

each_case = pytest.mark.parametrize(("name", "mechanism"), CASES)
each_name = pytest.mark.parametrize("name", STREAMING)


def size(memory):
    return sum(part.nbytes for state in memory for part in state)


def took(model, memory, items, times, start, stop):
    """The step over the events from `start` up to `stop`, told of the one after them."""
    asked = None if times is None else times[:, start : stop + 1]
    return model.step(memory, items[:, start:stop], asked)


@pytest.mark.slow
@each_case
@torch.inference_mode()
def test_event_by_event_as_all_at_once(recommender, rows, states, times, name, mechanism):
    model = recommender(name, attention=mechanism, causal=True)
    items = rows(length=16)
    told = times(model, items)
    whole = states(model, items)
    memory = model.init_state(len(items))
    for event in range(16):
        memory, hidden = took(model, memory, items, told, event, event + 1)
        torch.testing.assert_close(hidden, whole[:, event : event + 1])


@each_case
@torch.inference_mode()
def test_a_history_first_and_then_events(recommender, rows, states, times, name, mechanism):
    model = recommender(name, attention=mechanism, causal=True)
    items = rows(length=16)
    told = times(model, items)
    memory, first = took(model, model.init_state(len(items)), items, told, 0, 11)
    memory, then = took(model, memory, items, told, 11, 15)
    _, last = took(model, memory, items, told, 15, 16)
    torch.testing.assert_close(torch.cat((first, then, last), dim=1), states(model, items))


@each_name
@torch.inference_mode()
def test_the_memory_grows_with_caches_alone(recommender, rows, times, name):
    model = recommender(name, causal=True)
    items = rows(length=16)
    told = times(model, items)
    memory, _ = took(model, model.init_state(3), items, told, 0, 4)
    before = size(memory)
    memory, _ = took(model, memory, items, told, 4, 16)
    caches = not STREAMING[name].mechanisms or name == "hstu"
    assert (size(memory) > 2 * before) if caches else (size(memory) == before)


@each_name
def test_more_events_than_the_model_was_built_for_are_refused(recommender, rows, times, name):
    if "seq_len" not in STREAMING[name].parameters:
        pytest.skip("the model has no longest row")
    model = recommender(name, causal=True)
    items = rows(length=18)
    told = times(model, items)
    memory, _ = took(model, model.init_state(3), items, told, 0, 16)
    with pytest.raises(ValueError, match=f"17 positions; model {name} was built for at most 16"):
        took(model, memory, items, told, 16, 17)


@pytest.mark.parametrize(
    "name", [n for n, s in models.registry().items() if s.trained_by_gradient and not s.streams]
)
def test_models_that_do_not_stream_say_so(recommender, rows, name):
    model = recommender(name)
    with pytest.raises(Unsupported, match="no form that takes one event after another"):
        model.init_state(3)
    with pytest.raises(Unsupported, match="no form that takes one event after another"):
        model.step((), rows())


def test_streams_need_a_form_that_looks_back(recommender):
    for name in ("sasrec", "recgrela"):
        with pytest.raises(Unsupported, match=f"model {name} takes one event .* expected causal: true"):
            recommender(name, causal=False).init_state(3)


def test_streams_need_timestamps_where_the_model_does(recommender, rows):
    model = recommender("hstu")
    with pytest.raises(Unsupported, match="needs timestamps"):
        model.step(model.init_state(3), rows(length=1))
