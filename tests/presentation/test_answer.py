"""The paragraph of `answer`, from planted facts."""

from linrec_bench.analysis.answer import Facts, Share
from linrec_bench.analysis.findings import Finding
from linrec_bench.presentation.answer import paragraph


def quality(subject, difference, *, shown, seeds=3):
    return Finding(
        kind="quality",
        subject=subject,
        reference="sdpa",
        unit="ndcg@10",
        evidence={
            "difference": difference,
            "difference_low": difference - 0.002,
            "difference_high": difference + 0.002,
            "detectable": 0.004,
            "shown": shown,
            "users": 1000,
            "seeds": seeds,
            "against_quality": 0.1,
        },
    )


def cost(task, outcome, **evidence):
    return Finding(
        kind="crossover",
        subject="linrec",
        reference="sdpa",
        value=781.0,
        low=412.0,
        high=1204.0,
        where={"task": task},
        evidence={"outcome": outcome, "shortest": 32, "longest": 4096, "last": -1, "rounds": 5}
        | {"ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.62}
        | evidence,
    )


def test_a_whole_paragraph():
    kept = Facts(
        subject="linrec",
        verdict="kept",
        quality=quality("linrec", -0.0010, shown=False),
        layer=cost("layer", "crosses"),
        beyond=Share(value=0.12, low=0.05, high=0.21),
        training=cost("train_step", "always", memory_ratio=0.8),
        serving=cost("decode", "none", state_ratio=0.01),
    )
    lost = Facts(subject="linear-transformer", verdict="lost", quality=quality("l", -0.02, shown=True))
    assert paragraph([kept, lost], [quality("copy", -0.05, shown=True)]) == [
        "Keeps the quality of softmax attention (sdpa, NDCG@10 0.1000, 3 seeds, 1,000 users), a loss of 5% "
        "being ruled out: linrec -0.0010 [-0.0030, +0.0010].",
        "Loses quality against it: linear-transformer -0.0200 [-0.0220, -0.0180].",
        "Attention is worth something here: without any (copy) the quality changes by -0.0500.",
        "Time, training one attention layer: linrec overtakes sdpa at N = 780 [410, 1,200].",
        "12% [5.0%, 21%] of the histories are that long.",
        "At N = 4,096, a training step on batches of these histories takes 0.50x [0.40, 0.62] the time and "
        "0.80x the memory of sdpa.",
        "At N = 4,096, serving one event takes 0.50x [0.40, 0.62] the time and 0.010x the state of sdpa.",
    ]


def test_what_is_undecided_says_what_would_decide_it():
    undecided = Facts(
        subject="linrec",
        verdict="undecided",
        quality=quality("linrec", -0.0030, shown=False),
        seeds_needed=9,
        layer=cost("layer", "none", last=0, detectable=1.4),
        rounds_needed=20,
    )
    told = paragraph([undecided], [])
    assert told[0].startswith("Not decided whether the quality of softmax attention (sdpa, ")
    assert told[0].endswith("is kept within 5%: linrec -0.0030 [-0.0050, -0.0010].")
    assert told[1] == (
        "A difference of 0.0040 (linrec) would have been shown, and a loss of 0.0050 counts: about 9 seeds "
        "would decide it."
    )
    assert told[-1] == (
        "No length up to 4,096 is shown from which linrec pays; about 20 rounds would decide it."
    )


def test_an_interval_of_two_rounds_is_no_number():
    wide = cost("decode", "none", ratio=1.6, ratio_low=1e-36, ratio_high=1e24, state_ratio=0.03)
    told = paragraph([Facts(subject="linrec", serving=wide)], [])
    assert told[-1] == (
        "At N = 4,096, serving one event takes 1.6x (interval wider than 10x: measure more rounds) the time "
        "and 0.030x the state of sdpa."
    )


def test_one_seed_decides_nothing():
    one = Facts(subject="linrec", verdict="undecided", quality=quality("linrec", 0.01, shown=False, seeds=1))
    assert "one seed" in paragraph([one], [])[0]
    assert paragraph([], []) == ["Quality: nothing was trained that can be compared."]
