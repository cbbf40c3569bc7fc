"""Aggregations over windows of event time, for each entity: over a table, as a stream, and at the moment of asking. All three agree exactly.

What a window is
    Time is cut into buckets from the epoch on, ``[k·B, (k+1)·B)``; times before it fall into buckets of negative number.
    *Sliding* windows (with a period) have buckets of one period: at time t the window ``1h`` by ``10m`` is the bucket of t and the five
    before it, so it looks back between 50 and 60 minutes. *Fixed* windows (without) have buckets of their own length: at t the window is
    the bucket of t. Windows are made of whole buckets; nothing finer is kept.

What a row has
    The value of each of its windows, at the row's own time and including it, over the rows of its entity that had **arrived** by
    then. Rows of a stream arrive in its order, those of a batch in the order of :attr:`~mlrun_jupyter.model.features.FeatureSet.known_at` where
    the set has it, else of their times; rows that tie, in the order in which they were handed over. A later batch arrives after an earlier one,
    whatever the times in it. The table keeps that order (``__arrival``), and the history of a batch, states that are built anew and retrieval go by it.

Late rows
    A row is late when it is older than the newest row of its entity. Within the bound (``late`` of the aggregation, else of the set, else
    the longest window) it counts in the bucket of its own time: later rows whose windows hold that bucket see it, and its own values
    are those of its own time. Beyond the bound it counts nowhere, all its features of that aggregation are null, ``count`` too (which is
    null nowhere else), and it is counted in the :class:`Report`. The row itself is kept.

What a moment is answered with
    Asking at T (:meth:`State.at`, :func:`lookup`) gives the windows of T over what had arrived: values decay without new rows.
    Of a table, where all has arrived, that is what ``known_at``, else a row's own time, says was known at T, without what had come too late:
    that counts at no moment. (Of rows of one time, the one known last is last there.)
    ``closed=True`` answers *fixed* windows with the last one that was over at T instead of the one that T is in. An entity of which nothing has
    arrived is answered with nulls; so is a moment further back than the bound.

Values
    null and NaN are no values: they do not count. (A frame of pandas writes null as NaN, and one NaN would spoil every sum for a whole window.)
    ``true`` is 1, ``false`` is 0; zero has no sign. Infinities are values; where both are in a window its sum is NaN, and with one of them
    ``stdvar`` is NaN. Texts, bytes and times can be counted, and be first or last; other types are refused.
    All results are floats (64 bits), except first and last of texts, bytes and times.

    ``count``   how many values; 0.0 when there are none. All others are null then.
    ``sum``     the exact sum, rounded once. Integers of any size are exact inside and never overflow; a sum beyond the range of floats is infinite.
    ``avg``     sum divided by count
    ``sqr``     the exact sum of the exact squares, rounded once
    ``stdvar``  (n·Σx² - (Σx)²) / (n·(n-1)): the numerator is exact and rounded once; null for n < 2
    ``stddev``  its square root
    ``min``, ``max``
    ``first``, ``last``  by time of the event; of rows of one time, the first that arrived is first, the last that arrived is last

Why they agree: sums are exact, so that no order of adding and no grouping into buckets shows in them (:mod:`.exact`); everything else is a choice
among values, with a rule for ties.
"""

from typing import Any

from mlrun_jupyter.features.windows.plan import STATE_COLUMN, Plan, Report, plan

__all__ = ["STATE_COLUMN", "Plan", "Report", "State", "aggregate", "answer", "build", "lookup", "plan"]


def __getattr__(name: str) -> Any:
    # numpy and polars come with the batch evaluation only
    if name in ("aggregate", "build", "lookup"):
        from mlrun_jupyter.features.windows import batch

        return getattr(batch, name)
    if name in ("State", "answer"):
        from mlrun_jupyter.features.windows import state

        return getattr(state, name)
    raise AttributeError(name)
