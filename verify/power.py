"""Tolerance power: how small an error each limit still catches.

A limit is tried with mutants of size: what an engine returned, moved by k numbers of the
precision (k ULP, but for the step from one binade to the next) at one input, at one in a hundred
or in the whole band, upwards and downwards, and judged as a run judges it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from verify.bands import BANDS, classify, order, unorder
from verify.cases import Case
from verify.engines import EngineFailure, Executor, Refused, engine
from verify.headroom import LimitGroup, limit_groups
from verify.judge import judge, results_of
from verify.oracle import View, expected
from verify.precision import Array, Precision
from verify.replay import feed
from verify.run import model_of
from verify.samples import sample
from verify.sweep.worker import open_single
from verify.tolerances import RESULTS, Limits, Tolerances

__all__ = ["SHARE", "Power", "power"]

SHARE = 100  # one input in so many


@dataclass(frozen=True)
class Power:
    """What one limit catches: the smallest k, in both directions, None where none is caught.

    ``one``: at any one of the inputs that no deviation is about; ``share``: at one input in
    `SHARE`; ``whole``: at all inputs of the band, ``caught`` of which are then beyond the limit.
    ``within``: inputs that a deviation is about. ``case``: whose results were moved, the
    engine's own or, where it does not execute here, correctly ``rounded`` ones. ``state``:
    ``blind`` where a whole band can be off by half of every result, ``exceeded`` where the
    results are beyond the limit already, else ``ok``.
    """

    source: str
    what: str
    limit: float
    case: str
    rounded: bool
    inputs: int
    within: int
    one: int | None
    share: int | None
    whole: int | None
    caught: int
    state: str


def power(
    tolerances: Tolerances,
    precisions: Iterable[Precision],
    *,
    engines: Callable[[str], object] = engine,
    seed: int = 0,
) -> Iterator[Power]:
    """Every limit of the tolerance files of some precisions, a case after the other.

    The limits of a [[limit]] are tried on one of its cases, one that an engine executes here
    where there is any. ``engines`` gives an engine by its name.
    """
    by_case: dict[Case, list[LimitGroup]] = {}
    wanted = set(precisions)
    for group in limit_groups(tolerances):
        if group.members[0][0].precision in wanted:
            by_case.setdefault(_chosen(tolerances, group, engines), []).append(group)
    for case, groups in by_case.items():
        yield from _of_case(tolerances, case, groups, engines, seed)


def _executor(case: Case, engines: Callable[[str], object]) -> Executor | None:
    if case.form == "plugin":  # none is at hand
        return None
    runner = engines(case.engine)
    return runner if isinstance(runner, Executor) and runner.status().executes else None


def _chosen(tolerances: Tolerances, group: LimitGroup, engines: Callable[[str], object]) -> Case:
    """Of those that execute here, if any do, the one in which most is accepted."""
    cases = [case for case, _ in group.members]
    executed = [
        case
        for case in cases
        if tolerances.refusal(case) is None and _executor(case, engines) is not None
    ]
    among = executed or cases
    among = [case for case in among if case.context == among[0].context]
    return max(among, key=lambda case: len(tolerances.limits(case).deviations))


def _of_case(
    tolerances: Tolerances,
    case: Case,
    groups: list[LimitGroup],
    engines: Callable[[str], object],
    seed: int,
) -> Iterator[Power]:
    precision, limits = case.precision, tolerances.limits(case)
    x = sample(precision, seed).values
    view, *_ = expected(case.context, x, precision)
    y, rounded = _results(case, view, x, engines)
    view = replace(view, output="y", channel=None)
    accepted = _accepted(view, y, x, precision, limits)
    band, result = classify(view.argument, precision), results_of(view.expected, precision)
    for group in groups:
        chosen = (band == BANDS.index(group.band)) & (result == RESULTS.index(group.result))
        where = np.flatnonzero(chosen)
        if not len(where):
            continue
        part = _Part.of(view, y, x, precision, limits, where, accepted)
        yield _power(group, case, rounded, part)


def _results(
    case: Case, view: View, x: Array, engines: Callable[[str], object]
) -> tuple[Array, bool]:
    """What the engine returns, or correctly rounded results where it does not execute here."""
    runner = _executor(case, engines)
    if runner is not None:
        try:
            with open_single(runner, model_of(case), case.precision) as session:
                outputs = session.run(feed(x, case.context))
        except (Refused, EngineFailure):
            pass
        else:
            return view.select(outputs), False
    return case.precision.round(view.expected), True


def _accepted(
    view: View, y: Array, x: Array, precision: Precision, limits: Limits
) -> dict[str, int]:
    """How many inputs each deviation accepts, by its key."""
    judged = judge([view], {"y": y}, x, precision, limits, whole_sample=False)
    return {accepted.deviation.key: accepted.count for accepted in judged.accepted}


@dataclass(frozen=True)
class _Part:
    """The inputs of one limit, with what was returned for them."""

    view: View
    y: Array
    x: Array
    precision: Precision
    limits: Limits  # a deviation may accept as many as the inputs of other limits leave over
    about: Array  # bool: a deviation of an error or of a sign is about the input

    @staticmethod
    def of(
        view: View,
        y: Array,
        x: Array,
        precision: Precision,
        limits: Limits,
        where: Array,
        accepted: dict[str, int],
    ) -> _Part:
        view = replace(view, argument=view.argument[where], expected=view.expected[where])
        y, x = y[where], x[where]
        own = _accepted(view, y, x, precision, limits)
        deviations, about = [], np.zeros(len(where), dtype=bool)
        for deviation in limits.deviations:
            elsewhere = accepted.get(deviation.key, 0) - own.get(deviation.key, 0)
            left = max(deviation.largest_count - elsewhere, 0)
            deviations.append(replace(deviation, largest_count=left))
            low, high = deviation.x
            about |= (view.argument >= low) & (view.argument <= high)
        limits = replace(limits, deviations=tuple(deviations))
        return _Part(view, y, x, precision, limits, about)

    def take(self, where: Array) -> _Part:
        """Some of the inputs; deviations accept nothing more than in all of them."""
        view = self.view
        view = replace(view, argument=view.argument[where], expected=view.expected[where])
        return replace(self, view=view, y=self.y[where], x=self.x[where], about=self.about[where])

    def beyond(self, k: int, every: int = 1, *, counted: bool = True) -> int:
        """Inputs beyond the limit if one in ``every`` is off by k; of both ways, the fewest.

        ``counted``: deviations are held to their largest counts.
        """
        found = []
        for step in (k, -k):
            y = self.y.copy()
            y[::every] = _moved(y[::every], step, self.precision)
            judged = judge(
                [self.view], {"y": y}, self.x, self.precision, self.limits, whole_sample=counted
            )
            found.append(sum(breach.count for breach in judged.breaches))
        return min(found)


def _moved(y: Array, step: int, precision: Precision) -> Array:
    """The numbers ``step`` places further up; no further than the finite ones, NaN as it is."""
    wide = precision.widen(y)
    keys = order(precision.to_bits(y), precision)
    ends = precision.round(np.array([-precision.max_finite, precision.max_finite]))
    low, high = order(precision.to_bits(ends), precision)
    moved = precision.from_bits(unorder(np.clip(keys + step, low, high), precision))
    return np.where(np.isfinite(wide), moved, y)


def _power(group: LimitGroup, case: Case, rounded: bool, part: _Part) -> Power:
    precision = part.precision
    most = 2 << precision.significand_bits
    guess = int(group.limit) + 1
    entry = Power(
        source=group.source,
        what=f"{group.result}.{group.band}",
        limit=group.limit,
        case=case.id,
        rounded=rounded,
        inputs=len(part.x),
        within=int(np.count_nonzero(part.about)),
        one=None,
        share=None,
        whole=None,
        caught=0,
        state="exceeded",
    )
    if part.beyond(0):
        return entry
    free = part.take(np.flatnonzero(~part.about))
    one = None
    if len(free.x):
        reached = free.beyond(most, counted=False)
        one = _smallest(lambda k: free.beyond(k, counted=False) >= reached, guess, most)
    share = _smallest(lambda k: part.beyond(k, SHARE) > 0, guess, most)
    whole = _smallest(lambda k: part.beyond(k) > 0, guess, most)
    # Half of a result is so many numbers away.
    blind = whole is None or whole >= 1 << (precision.significand_bits - 1)
    return replace(
        entry,
        one=one,
        share=share,
        whole=whole,
        caught=part.beyond(whole) if whole else 0,
        state="blind" if blind else "ok",
    )


def _smallest(caught: Callable[[int], bool], guess: int, most: int) -> int | None:
    """The smallest k from 1 up that is caught, found from a guess; None if ``most`` is not."""
    low, high, step = 0, min(guess, most), 1
    if caught(high):
        while high - step > 0 and caught(high - step):
            high, step = high - step, 2 * step
        low = max(high - step, 0)
    else:
        while not caught(high):
            if high == most:
                return None
            low, high, step = high, min(high + step, most), 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if caught(middle) else (middle, high)
    return high
