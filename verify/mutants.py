"""Prove that the checks can fail: which check catches which wrong Mish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import models
from models.mutants import Mutant
from verify.cases import Case, bound_by
from verify.engines import Executor, Refused, Session, engine
from verify.findings import LIMITS_CHECK
from verify.judge import judge
from verify.oracle import expected
from verify.precision import Precision, by_name
from verify.properties import PROPERTIES, Property, Sessions, Subject, check
from verify.samples import sample
from verify.tolerances import Tolerances

__all__ = ["CHECKS", "Killing", "Score", "kill", "killings", "score", "spare"]

CHECKS: tuple[str, ...] = (LIMITS_CHECK, *(prop.name for prop in PROPERTIES))


@dataclass(frozen=True)
class Killing:
    """One mutant on one engine in one precision, and the checks whose own finding caught it.

    ``error`` is not empty where a check broke down instead of finding something: that kills
    nothing.
    """

    mutant: str
    engine: str
    precision: str
    checks: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True)
class Score:
    """What a table of killings comes to. A mutant is killed where each of its killings is.

    ``alone``: for each check, the mutants that only it catches. ``idle``: checks that catch
    nothing.
    """

    killed: tuple[str, ...]
    survived: tuple[str, ...]
    alone: dict[str, tuple[str, ...]]
    idle: tuple[str, ...]


def killings(
    mutants: Sequence[Mutant], tolerances: Tolerances, seed: int
) -> Iterator[tuple[Mutant, list[Killing]]]:
    """Hold each mutant against every check, wherever it is wrong by itself."""
    for mutant in mutants:
        yield (
            mutant,
            [
                kill(mutant, name, by_name(precision), tolerances, seed)
                for precision in mutant.precisions
                for name in mutant.engines_for(precision)
            ],
        )


def kill(
    mutant: Mutant,
    engine_name: str,
    precision: Precision,
    tolerances: Tolerances,
    seed: int,
    properties: Iterable[Property] = PROPERTIES,
    *,
    limits: bool = True,
) -> Killing:
    """Judge a mutant by the limits and deviations of the form that it mutates, as that form."""
    case = Case(mutant.form, "alone", precision, engine_name)

    def model(form: str, precision: Precision, rank: int) -> bytes:
        if form == mutant.form:
            return models.serialize(mutant.build(precision.name, rank=rank))
        return models.serialize(models.build(form, "alone", precision.name, rank=rank))

    try:
        caught = _caught(case, model, tolerances, seed, properties, limits)
    except Exception as error:  # whatever breaks down here must not pass for a finding
        return Killing(mutant.name, engine_name, precision.name, (), f"{error}")
    return Killing(mutant.name, engine_name, precision.name, caught)


def spare(case: Case, tolerances: Tolerances, seed: int) -> tuple[str, ...]:
    """The checks that a right form fails, which are false alarms; a case of context alone."""

    def model(form: str, precision: Precision, rank: int) -> bytes:
        return models.serialize(models.build(form, "alone", precision.name, rank=rank))

    return _caught(case, model, tolerances, seed, PROPERTIES, True)


def _caught(
    case: Case,
    model: Callable[[str, Precision, int], bytes],
    tolerances: Tolerances,
    seed: int,
    properties: Iterable[Property],
    limits: bool,
) -> tuple[str, ...]:
    runner = engine(case.engine)
    if not isinstance(runner, Executor):
        raise Refused(f"{case.engine} does not execute here")

    def open_session(form: str, precision: Precision, rank: int) -> Session:
        return runner.open(model(form, precision, rank), precision)

    caught = []
    with Sessions(open_session) as sessions:
        if limits:
            inputs = sample(case.precision, seed).values
            judgement = judge(
                expected("alone", inputs, case.precision),
                sessions.get(case.form, case.precision, 1).run(inputs),
                inputs,
                case.precision,
                tolerances.limits(bound_by(case)),
            )
            # A deviation that a mutant does not show is no finding about the mutant.
            if judgement.breaches:
                caught.append(LIMITS_CHECK)
        subject = Subject(case, lambda other: tolerances.limits(bound_by(other)), sessions)
        outcomes = check(subject, properties, seed)
    caught += [outcome.property.name for outcome in outcomes if outcome.falsified is not None]
    return tuple(caught)


def score(table: Sequence[Killing]) -> Score:
    """Add a table of killings up."""
    names = tuple(dict.fromkeys(killing.mutant for killing in table))
    survived = {killing.mutant for killing in table if not killing.checks}
    catches = {
        name: {check for killing in table if killing.mutant == name for check in killing.checks}
        for name in names
    }
    alone: dict[str, tuple[str, ...]] = {
        only: tuple(name for name in names if catches[name] == {only}) for only in CHECKS
    }
    counts = Counter(check for checks in catches.values() for check in checks)
    return Score(
        killed=tuple(name for name in names if name not in survived),
        survived=tuple(name for name in names if name in survived),
        alone={check: caught for check, caught in alone.items() if caught},
        idle=tuple(check for check in CHECKS if not counts[check]),
    )
