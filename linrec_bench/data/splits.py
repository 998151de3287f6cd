"""Splits into training histories and ranking queries: leave-one-out, and global temporal. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int64

from linrec_bench.data.sequences import Queries, Sequences, Split
from linrec_bench.registry import Registry


def leave_one_out(sequences: Sequences) -> Split:
    """The last event of every user is the test target, the last but one the validation target.

    Train is what precedes both; test histories include the validation item. Users with fewer than three
    events are only trained on. No target is excluded, even if it never occurs in train: this is the protocol
    of Kang and McAuley 2018 (SASRec, section IV-A), in which training events of one user may be later than
    the test event of another; `global_temporal` has no such leak.
    """
    lengths = sequences.lengths
    queried = np.flatnonzero(lengths >= 3)
    return Split(
        train=sequences.first(np.where(lengths >= 3, lengths - 2, lengths), user=_users(sequences)),
        validation=_queries(sequences, user=queried, at=lengths[queried] - 2),
        test=_queries(sequences, user=queried, at=lengths[queried] - 1),
    )


def global_temporal(sequences: Sequences, *, validation_share: float = 0.1, test_share: float = 0.1) -> Split:
    """Two moments cut all histories: the last `test_share` of the events, and `validation_share` before it.

    Events at the same time stay on one side, the later one. The test target of a user is the first event at
    or after the test cut, with all earlier events as history; likewise for validation, between the two cuts.
    Train holds the events before the validation cut, of every user (possibly none). Queries without a
    history, or whose target does not occur in train, are excluded and counted in `Queries`.

    Raises `ValueError` for shares that leave no train events, for timestamps that are positions, and for
    timestamps too coarse to separate the three parts.
    """
    if not (validation_share > 0 and test_share > 0 and validation_share + test_share < 1):
        raise ValueError(
            f"validation_share {validation_share} and test_share {test_share}: "
            "expected both above 0 and their sum below 1"
        )
    if sequences.ordinal:
        raise ValueError(
            "the timestamps of this data set are positions in each history, which no global time can cut; "
            "use the split leave_one_out, or a source with real times"
        )
    moments = np.sort(sequences.timestamps)
    if not len(moments):
        raise ValueError("there are no events to split")
    validation_cut, test_cut = (
        int(moments[int(share * len(moments))])
        for share in (1 - validation_share - test_share, 1 - test_share)
    )
    if not moments[0] < validation_cut < test_cut:
        raise ValueError(
            f"{len(moments)} events at {len(np.unique(moments))} distinct times cannot be cut into train, "
            "validation and test; expected distinct times around both cuts"
        )
    before_validation = _count_before(sequences, validation_cut)
    before_test = _count_before(sequences, test_cut)
    train = sequences.first(before_validation, user=_users(sequences))
    known = np.zeros(sequences.n_items + 1, dtype=bool)
    known[train.items] = True
    return Split(
        train=train,
        validation=_known_queries(
            sequences, np.flatnonzero(before_validation < before_test), before_validation, known
        ),
        test=_known_queries(sequences, np.flatnonzero(before_test < sequences.lengths), before_test, known),
    )


SPLITS: Registry[Callable[[Sequences], Split]] = Registry(
    "split", [("leave_one_out", leave_one_out), ("global_temporal", global_temporal)]
)


def _users(sequences: Sequences) -> Int64[np.ndarray, " U"]:
    return np.arange(sequences.n_users)


def _count_before(sequences: Sequences, moment: int) -> Int64[np.ndarray, " U"]:
    """How many events of each user are earlier than `moment`; histories are in time order."""
    running = np.concatenate(([0], np.cumsum(sequences.timestamps < moment)))
    return np.diff(running[sequences.offsets])


def _queries(sequences: Sequences, *, user: Int64[np.ndarray, " Q"], at: Int64[np.ndarray, " Q"]) -> Queries:
    """Queries for the event number at[i] of user user[i], with everything before it as history."""
    event = sequences.offsets[user] + at
    histories, times = sequences.first(at, user=user), sequences.timestamps[event]
    return Queries(histories, sequences.items[event], user, request_times=times)


def _known_queries(
    sequences: Sequences,
    user: Int64[np.ndarray, " Q"],
    at: Int64[np.ndarray, " U"],
    known: Bool[np.ndarray, " V_plus_1"],
) -> Queries:
    """`_queries` for users with a history and a target among the known items; counts the others."""
    started = user[at[user] > 0]
    answerable = started[known[sequences.items[sequences.offsets[started] + at[started]]]]
    queries = _queries(sequences, user=answerable, at=at[answerable])
    return replace(queries, no_history=len(user) - len(started), unseen_target=len(started) - len(answerable))
