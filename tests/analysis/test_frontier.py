"""What fits into memory: planted limits are found, and nothing is said that rows do not show."""

import math

import pytest

from linrec_bench.analysis.frontier import memory_frontier
from linrec_bench.analysis.summary import summarise

LENGTHS = [1024 * 2**k for k in range(6)]
INPUTS = 4096


def plant(planted, layer_case, attention, *, limit, of, refused=None, batch_size=1):
    """Cases of `of(N)` bytes: those within `limit` are measured, the others run out of memory, or are skipped
    from `refused` on."""
    for n in LENGTHS:
        case = layer_case(attention, n, batch_size=batch_size)
        needed = batch_size * of(n)
        planted.add(case, "predicted_peak_bytes", needed, "B")
        planted.add(case, "minimum_bytes", INPUTS, "B")
        if refused is not None and n >= refused:
            detail = "predicted to need 9.0 GiB; the limit is 8.0 GiB"
            planted.close(case, status="skipped", detail=detail, reason="memory")
        elif needed > limit:
            planted.close(case, status="oom", detail="out of memory")
        else:
            planted.add(case, "peak_live_bytes", needed, "B")
            planted.close(case)


def test_the_longest_that_fits_and_what_does_not(planted, layer_case):
    for batch_size in (1, 4, 16):
        plant(planted, layer_case, "softmax", limit=2**28, of=lambda n: 4 * n**2, batch_size=batch_size)
        plant(planted, layer_case, "linrec", limit=2**40, of=lambda n: 1000 * n, batch_size=batch_size)
    found = memory_frontier(summarise(planted.frame(), reference="softmax"))
    softmax = found[found["attention"] == "softmax"].set_index("batch_size")
    assert softmax["fits"].to_dict() == {1: 8192, 4: 4096, 16: 2048}
    assert softmax["fails"].to_dict() == {1: 16384, 4: 8192, 16: 4096}
    assert set(softmax["fails_by"]) == {"measured"}
    assert softmax["tokens"].to_dict() == {1: 8192, 4: 16384, 16: 32768}
    assert softmax["largest"].to_dict() == {1: False, 4: False, 16: True}
    assert softmax.loc[1, "memory_bytes"] == 4 * 8192**2
    linrec = found[found["attention"] == "linrec"].set_index("batch_size")
    assert linrec["fails"].isna().all()
    assert set(linrec["fails_by"]) == {""}


def test_a_refusal_for_memory_is_a_prediction_and_one_for_time_is_nothing(planted, layer_case):
    plant(planted, layer_case, "softmax", limit=2**40, of=lambda n: n**2, refused=8192)
    slow = layer_case("linrec", 1024)
    planted.add(slow, "peak_live_bytes", 10, "B")
    planted.close(slow)
    planted.close(layer_case("linrec", 2048), status="timeout", detail="8 s")
    late = {"status": "skipped", "detail": "predicted to take 90 s", "reason": "time"}
    planted.close(layer_case("linrec", 4096), **late)
    found = memory_frontier(summarise(planted.frame(), reference="softmax")).set_index("attention")
    assert (found.loc["softmax", "fits"], found.loc["softmax", "fails"]) == (4096, 8192)
    assert found.loc["softmax", "fails_by"] == "predicted"
    assert found.loc["linrec", "fits"] == 1024
    assert math.isnan(found.loc["linrec", "fails"])


@pytest.mark.parametrize(
    ("limit", "longest", "said"),
    [(2**24, 2048, "interpolated"), (2**34, 65536, "extrapolated"), (2**16, 128, "extrapolated")],
)
def test_the_predicted_limit_follows_the_counted_law(planted, layer_case, limit, longest, said):
    plant(planted, layer_case, "softmax", limit=2**40, of=lambda n: 4 * n**2 - INPUTS)
    found = memory_frontier(summarise(planted.frame(), reference="softmax"), limit_bytes=limit).iloc[0]
    assert found["predicted_fits"] == longest
    assert found["predicted_by"] == said


@pytest.mark.parametrize(("limit", "longest"), [(2**20, math.inf), (2**10, 0)])
def test_counts_that_do_not_grow_fit_at_every_length_or_at_none(planted, layer_case, limit, longest):
    plant(planted, layer_case, "linrec", limit=2**40, of=lambda _: 2**18)
    found = memory_frontier(summarise(planted.frame(), reference="softmax"), limit_bytes=limit).iloc[0]
    assert (found["predicted_fits"], found["predicted_by"]) == (longest, "extrapolated")


def test_without_counts_or_limit_nothing_is_predicted(planted, layer_case):
    planted.add(layer_case("softmax", 128), "peak_live_bytes", 10, "B")
    planted.close(layer_case("softmax", 128))
    summary = summarise(planted.frame(), reference="softmax")
    assert math.isnan(memory_frontier(summary)["predicted_fits"].iloc[0])
    assert math.isnan(memory_frontier(summary, limit_bytes=1e9)["predicted_fits"].iloc[0])
    with pytest.raises(ValueError, match="positive"):
        memory_frontier(summary, limit_bytes=0)


def test_nothing_that_fits_has_no_tokens(planted, layer_case):
    planted.close(layer_case("softmax", 1024), status="oom", detail="out of memory")
    found = memory_frontier(summarise(planted.frame(), reference="softmax")).iloc[0]
    assert math.isnan(found["fits"])
    assert math.isnan(found["tokens"])
    assert found["fails"] == 1024
    assert not found["largest"]
