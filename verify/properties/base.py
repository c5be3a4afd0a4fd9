"""What a property is, and what falsifies it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis.strategies import SearchStrategy

from verify.bands import BANDS, classify
from verify.cases import Case
from verify.findings import Finding
from verify.judge import Point, kind_of
from verify.precision import Array, Float64, Precision
from verify.properties.slack import Slack
from verify.properties.strategies import EDGES, Draft, drafts
from verify.properties.subject import OUTPUT, Subject
from verify.ulp import error_ulp

__all__ = [
    "ALL_BANDS",
    "ENGINES",
    "FINITE_BANDS",
    "Falsified",
    "Fault",
    "Property",
    "Trial",
    "finding",
    "point",
    "trial",
]

ENGINES: tuple[str, ...] = ("reference", "onnxruntime", "tensorrt_rtx", "tensorrt")
ALL_BANDS = BANDS
FINITE_BANDS = BANDS[:-1]


@dataclass(frozen=True)
class Fault:
    """An array of inputs that falsifies a property.

    ``x`` is as it was run, with its shape. ``hint`` indexes the flat elements that seem to be
    enough to see it again.
    """

    message: str
    x: Array
    point: Point | None
    limit: float | None
    count: int
    samples: int
    hint: Array


@dataclass(frozen=True)
class Trial:
    """What came of one array: how many inputs were held against the property, and the fault."""

    inputs: int
    fault: Fault | None = None


@dataclass(frozen=True)
class Property:
    """Something that every right Mish does.

    ``slack`` says how much is forgiven, ``owed_by`` names the engines and ``forms`` the forms
    that owe it, ``mutant`` the wrong model (in `models.mutants`) that this property, alone,
    catches. ``bands`` are where its inputs lie. ``counterpart`` gives what the subject is
    compared with, None where it has none; then the property says nothing of that case.
    """

    name: str
    statement: str
    slack: str
    mutant: str
    try_on: Callable[[Subject, Array, Draft], Trial] = field(repr=False, compare=False)
    bands: tuple[str, ...] = ALL_BANDS
    owed_by: tuple[str, ...] = ENGINES
    forms: str = "all"
    counterpart: Callable[[Subject], Subject | None] | None = field(
        default=None, repr=False, compare=False
    )
    drafts: Callable[[], SearchStrategy[Draft]] = field(default=drafts, repr=False, compare=False)
    explicit: tuple[Draft, ...] = field(default=(EDGES,), repr=False)
    examples: int = 12

    def applies(self, subject: Subject) -> bool:
        """Whether the subject's engine owes it, and there is what it compares with."""
        if subject.case.engine not in self.owed_by:
            return False
        return self.counterpart is None or self.counterpart(subject) is not None


@dataclass(frozen=True)
class Falsified:
    """A property with the shrunk input that falsifies it.

    ``x`` has the shape that it was run in. ``point`` is its worst element, None where the
    fault is no element's. ``count`` of ``samples`` inputs were wrong in the array that was
    found first. ``limit`` is the slack at ``point`` in ULP, None where there is none.
    """

    property: Property
    message: str
    x: Array
    point: Point | None
    count: int
    samples: int
    limit: float | None = None


def finding(case: Case, falsified: Falsified) -> Finding:
    """The finding of a falsified property; its check is the property's name."""
    point = falsified.point
    band, kind = "", "property"
    if point is not None:
        band = BANDS[int(classify(np.array([point.x]), case.precision)[0])]
        kind = kind_of(point.expected, point.actual, point.error_ulp)
    return Finding(
        case=case,
        check=falsified.property.name,
        message=falsified.message,
        output=OUTPUT,
        band=band,
        kind=kind,
        point=point,
        limit=falsified.limit,
        count=falsified.count,
        samples=falsified.samples,
    )


def point(index: int, x: Array, y: Array, held: Slack, precision: Precision) -> Point:
    """Element ``index`` of flat ``x`` and its result in flat ``y``, as the judge tells it."""
    digits = precision.total_bits // 4
    x_one, y_one = x[index : index + 1], y[index : index + 1]
    actual, expected = precision.widen(y_one), held.expected[index : index + 1]
    error = float(error_ulp(actual, expected, precision)[0])
    same = actual[0] == expected[0] or (np.isnan(actual[0]) and np.isnan(expected[0]))
    return Point(
        index=int(index),
        x=float(held.x[index]),
        x_bits=f"0x{int(precision.to_bits(x_one)[0]):0{digits}x}",
        expected=float(expected[0]),
        actual=float(actual[0]),
        actual_bits=f"0x{int(precision.to_bits(y_one)[0]):0{digits}x}",
        error_ulp=0.0 if same else (error if np.isfinite(error) else float("inf")),
    )


def trial(
    subject: Subject,
    x: Array,
    y: Array,
    held: Slack,
    examined: Array,
    bad: Array,
    weight: Float64,
    say: Callable[[Point], str],
    *,
    shape: tuple[int, ...] | None = None,
    allowed: Float64 | None = None,
    hint: Array | None = None,
) -> Trial:
    """Tell whether any element of flat ``x`` is both ``examined`` and ``bad``.

    ``weight`` ranks the bad ones (NaN is worst), ``say`` writes the message from the worst.
    ``allowed`` is the absolute slack to state, ``shape`` the one that x was run in.
    """
    wrong = np.flatnonzero(examined & bad)
    inputs = int(np.count_nonzero(examined))
    if not len(wrong):
        return Trial(inputs)
    worst = int(wrong[np.argmax(np.nan_to_num(weight[wrong], nan=np.inf, posinf=np.inf))])
    at = point(worst, x, y, held, subject.precision)
    limit = None
    if allowed is not None and np.isfinite(held.unit[worst]):
        limit = float(allowed[worst] / held.unit[worst])
    fault = Fault(
        message=say(at),
        x=x if shape is None else x.reshape(shape),
        point=at,
        limit=limit,
        count=len(wrong),
        samples=inputs,
        hint=np.array([worst]) if hint is None else hint,
    )
    return Trial(inputs, fault)
