"""Check properties: let Hypothesis look for a counterexample, and shrink what it finds."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from verify.judge import VacuousError
from verify.precision import Array
from verify.properties.base import Falsified, Fault, Property, Trial
from verify.properties.shrink import shrink
from verify.properties.strategies import Draft, expand
from verify.properties.subject import Subject

__all__ = ["PROFILES", "Outcome", "check"]

# How many times a property's own number of examples.
PROFILES: dict[str, int] = {"bounded": 1, "thorough": 20}


class Outcome(NamedTuple):
    """What came of one property: None where it held for all ``inputs``."""

    property: Property
    falsified: Falsified | None
    inputs: int


class _Found(Exception):
    """Ends Hypothesis' search."""


def check(
    subject: Subject, properties: Iterable[Property], seed: int, *, profile: str = "bounded"
) -> list[Outcome]:
    """Check each property that applies to the subject; the same seed tries the same inputs.

    Properties that its engine does not owe, or that lack a counterpart to compare with, are
    left out. Raises VacuousError where a property got no input to hold against, KeyError for
    an unknown profile, and whatever the engine raises. Prints and writes nothing.
    """
    factor = PROFILES[profile]
    return [
        _check(subject, each, seed, each.examples * factor)
        for each in properties
        if each.applies(subject)
    ]


def _check(subject: Subject, prop: Property, seed: int, examples: int) -> Outcome:
    inputs = 0
    found: list[tuple[Draft, Array, Fault]] = []

    def holds(draft: Draft) -> None:
        nonlocal inputs
        if found:  # Hypothesis runs a failing example again; it need not fail twice
            raise _Found
        x = expand(draft, subject.precision, prop.bands)
        if not len(x) and draft.length:
            return
        trial = _try(prop, subject, x, draft)
        inputs += trial.inputs
        if trial.fault is not None:
            found.append((draft, x, trial.fault))
            raise _Found

    test = given(prop.drafts())(holds)
    for draft in reversed(prop.explicit):
        test = hypothesis.example(draft)(test)
    # A seed of its own for each property: they do not all look at the same places.
    own = zlib.crc32(f"{seed} {subject.case.id} {prop.name}".encode())
    test = hypothesis.seed(own)(_settings(examples)(test))
    try:
        test()
    except _Found:
        draft, x, fault = found[0]

        def attempt(part: Array) -> Fault | None:
            return _try(prop, subject, part, draft).fault

        small = shrink(x, fault, attempt)
        return Outcome(
            prop,
            Falsified(
                property=prop,
                message=small.message,
                x=small.x,
                point=small.point,
                count=fault.count,
                samples=fault.samples,
                limit=small.limit,
            ),
            inputs,
        )
    if not inputs:
        raise VacuousError(
            f"{subject.case.id}: property {prop.name!r} got no input to hold against"
        )
    return Outcome(prop, None, inputs)


def _try(prop: Property, subject: Subject, x: Array, draft: Draft) -> Trial:
    # NaN and infinities among the results are what is looked for, not something to warn about.
    with np.errstate(invalid="ignore", over="ignore"):
        return prop.try_on(subject, x, draft)


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        # Nothing is stored, and shrinking is done on the array, not on its draft.
        database=None,
        phases=(Phase.explicit, Phase.generate),
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
