"""Contract beside observation: what each limit allows, what was observed, and what to tighten."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from verify.cases import Case, select
from verify.extreme import worst_allowed
from verify.judge import kind_of
from verify.observation import AcceptedObservation, CaseObservation, Observation
from verify.oracle import expected
from verify.precision import Array, Precision, by_name
from verify.record import WorstRecord
from verify.tolerances import Deviation, Limits, Tolerances

__all__ = [
    "SLACK",
    "WORST_ALLOWED",
    "Headroom",
    "LimitGroup",
    "Seen",
    "headroom",
    "limit_groups",
]

SLACK = 2.0  # a limit of more than so many times what was observed is slack
WORST_ALLOWED = "the worst plugin that is allowed alone"  # in place of a case that was observed
_CORRECT = 0.5  # ULP: what a correctly rounded result keeps to, so that no less is proposed


@dataclass(frozen=True)
class Seen:
    """The worst that was observed of something: in ULP with its input, or a number of inputs.

    ``case`` is its id and ``file`` the observation's, or `WORST_ALLOWED` and empty.
    """

    value: float
    case: str
    file: str
    inputs: int
    point: WorstRecord | None = None


@dataclass(frozen=True)
class Headroom:
    """One limit or bound of a deviation, and what was observed of it.

    ``cases`` are the ids that it is for. ``state``: ``ok``, ``slack``, ``unsupported`` (a
    measured limit of which nothing was observed), ``exceeded``, or ``not observed`` where the
    basis is derived. ``propose``: a tighter value, None where there is none to propose.
    ``within``: deviations are about the worst inputs observed there, so nothing supports the
    limit.
    """

    source: str
    what: str
    limit: float
    basis: str
    cases: tuple[str, ...]
    seen: Seen | None
    state: str
    propose: float | None = None
    within: bool = False

    @property
    def ratio(self) -> float | None:
        """The limit through what was observed; None where that is nothing or 0."""
        return self.limit / self.seen.value if self.seen and self.seen.value else None


_Observed = Mapping[str, Sequence[tuple[str, CaseObservation]]]


def headroom(tolerances: Tolerances, observed: Mapping[str, Observation]) -> list[Headroom]:
    """Every limit of the tolerance files, in their order, and then every deviation's bounds.

    ``observed``: observations by file name.
    """
    by_case: dict[str, list[tuple[str, CaseObservation]]] = {}
    for file, observation in observed.items():
        for case_id, case in observation.cases.items():
            by_case.setdefault(case_id, []).append((file, case))
    return [*_limits(tolerances, by_case), *_deviations(tolerances, by_case)]


@dataclass(frozen=True)
class LimitGroup:
    """One number of a tolerance file, and the cases with their limits that it is for."""

    source: str
    reason: str
    band: str
    result: str
    limit: float
    members: tuple[tuple[Case, Limits], ...]


def limit_groups(tolerances: Tolerances) -> list[LimitGroup]:
    """Every number of the tolerance files, in their order.

    A [[limit]] is for many cases at once; its number, reason and band tell it.
    """
    groups: dict[tuple[str, str, str, str, float], list[tuple[Case, Limits]]] = {}
    for precision, form, engine, context in tolerances.blocks:
        case = Case(form, context, by_name(precision), engine)
        limits = tolerances.limits(case)
        for (band, result), limit in limits.ulp.items():
            key = (limits.source, limits.reasons[band, result], band, result, limit)
            groups.setdefault(key, []).append((case, limits))
    return [LimitGroup(*key, tuple(members)) for key, members in groups.items()]


def _limits(tolerances: Tolerances, by_case: _Observed) -> Iterator[Headroom]:
    for group in limit_groups(tolerances):
        band, result, members = group.band, group.result, group.members
        basis = group.reason.partition(":")[0]
        ids = tuple(case.id for case, _ in members)
        what = f"{result}.{band}"
        seen = [
            found
            for case, limits in members
            for found in _band(case, limits, band, result, by_case.get(case.id, ()))
        ]
        seen += _allowed(tolerances, members, band, result)
        worst = max(seen, key=lambda found: found.value, default=None)
        within = worst is None and any(
            (each.band, each.result) == (band, result)
            for case, _ in members
            for _, observation in by_case.get(case.id, ())
            for each in observation.bands
        )
        yield _rated(
            Headroom(group.source, what, group.limit, basis, ids, worst, "", within=within)
        )


def _allowed(
    tolerances: Tolerances, members: Sequence[tuple[Case, Limits]], band: str, result: str
) -> list[Seen]:
    """What the worst plugin that keeps to the contract alone shows elsewhere.

    The contract is one plugin's no more than another's: these limits cover that one too.
    """
    for case, _ in members:
        found = worst_allowed(tolerances, case)
        samples = sum(each.samples for each in found)
        for each in found:
            if (each.band, each.result) == (band, result):
                point = WorstRecord.of(each.worst)
                return [Seen(each.worst.error_ulp, WORST_ALLOWED, "", samples, point)]
    return []


def _band(
    case: Case,
    limits: Limits,
    band: str,
    result: str,
    observed: Iterable[tuple[str, CaseObservation]],
) -> Iterator[Seen]:
    """What was observed in a band and is for its limit, not for a deviation, to allow."""
    floor = limits.floor.get(band, 0.0)
    for file, observation in observed:
        for each in observation.bands:
            if (each.band, each.result) != (band, result):
                continue
            for point in (each.worst, each.outside):
                if point is None or _accepted(case, limits.deviations, point, each.output):
                    continue
                if floor and abs(point.actual - point.expected) <= floor:
                    continue
                yield Seen(point.error_ulp, case.id, file, observation.inputs, point)


def _accepted(case: Case, deviations: Sequence[Deviation], point: WorstRecord, output: str) -> bool:
    """Whether a deviation is about this element, as the judge sees it."""
    argument = _argument(case.context, case.precision, int(point.x_bits, 16), output)
    kind = kind_of(point.expected, point.actual, point.error_ulp)
    for deviation in deviations:
        low, high = deviation.x
        if deviation.kind == kind and low <= argument <= high:
            return kind != "ulp" or point.error_ulp <= deviation.largest_error
    return False


@cache
def _argument(context: str, precision: Precision, bits: int, output: str) -> float:
    x: Array = precision.from_bits(np.array([bits], dtype=precision.bits_dtype))
    views = {view.label: view for view in expected(context, x, precision)}
    return float(views[output].argument[0])


def _deviations(tolerances: Tolerances, by_case: _Observed) -> Iterator[Headroom]:
    for name, deviations in tolerances.deviations.items():
        for deviation in deviations:
            ids = tuple(i for i in _executed(by_name(name)) if deviation.matches(i))
            seen = [
                (Seen(0.0, case_id, file, case.inputs, accepted.worst), case, accepted)
                for case_id in ids
                for file, case in by_case.get(case_id, ())
                for accepted in case.accepted
                if accepted.kind == deviation.kind
                and deviation.x[0] <= accepted.x[0] <= accepted.x[1] <= deviation.x[1]
            ]
            yield from _bounds(f"{name}.toml", deviation, ids, seen)


@cache
def _executed(precision: Precision) -> tuple[str, ...]:
    """The ids that an observation can have; only TensorRT runs a plugin library."""
    cases = select(precisions=(precision.name,))
    return tuple(c.id for c in cases if c.form != "plugin" or c.engine == "tensorrt")


def _bounds(
    source: str,
    deviation: Deviation,
    ids: tuple[str, ...],
    seen: Sequence[tuple[Seen, CaseObservation, AcceptedObservation]],
) -> Iterator[Headroom]:
    """A deviation's largest error and its largest counts, each beside what was observed."""

    def bound(what: str, limit: float, found: Sequence[Seen]) -> Headroom:
        worst = max(found, key=lambda one: one.value, default=None)
        what = f"{deviation.key} {what}"
        entry = _rated(Headroom(source, what, limit, "measured", ids, worst, ""))
        # Another case of the deviation may need what one case leaves over.
        if entry.state == "slack" and set(ids) - {one.case for one in found}:
            return replace(entry, state="ok", propose=None)
        return entry

    if deviation.kind == "ulp":
        errors = [replace(s, value=a.worst.error_ulp) for s, _, a in seen]
        yield bound("largest_error", deviation.largest_error, errors)
    exhaustive = [replace(s, value=a.count) for s, case, a in seen if case.exhaustive]
    sampled = [replace(s, value=a.count) for s, case, a in seen if not case.exhaustive]
    of_all = "largest_count_of_all" if source == "fp32.toml" else "largest_count"
    yield bound(of_all, deviation.largest_count_of_all, exhaustive)
    if sampled:
        yield bound("largest_count", deviation.largest_count, sampled)


def _rated(entry: Headroom) -> Headroom:
    if entry.seen is None:
        measured = entry.basis == "measured"
        return replace(entry, state="unsupported" if measured else "not observed")
    worst = entry.seen.value
    if worst > entry.limit:
        return replace(entry, state="exceeded")
    # To the digits that are printed: no result of a rounding to nearest is off by all of 0.5.
    slack = not worst or round(entry.limit / worst, 2) > SLACK
    if slack and entry.limit > _CORRECT:
        return replace(entry, state="slack", propose=max(_tighter(worst), _CORRECT))
    return replace(entry, state="ok")


def _tighter(worst: float) -> float:
    """``worst`` rounded up to two significant digits."""
    if not worst or not math.isfinite(worst):
        return worst
    step = 10.0 ** (math.floor(math.log10(worst)) - 1)
    return max(worst, float(f"{math.ceil(worst / step) * step:.2g}"))
