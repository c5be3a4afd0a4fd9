"""Subjects to check: right models and mutants on the engines that every machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import models
from models.mutants import Mutant
from verify.cases import Case
from verify.engines import engine
from verify.engines.base import Executor, Session
from verify.precision import Precision
from verify.properties import Sessions, Subject
from verify.tolerances import Limits, Tolerances, load

MakeSubject = Callable[..., Subject]


@pytest.fixture(scope="session")
def tolerances() -> Tolerances:
    return load()


@pytest.fixture(scope="session")
def limits_of(tolerances: Tolerances) -> Callable[[Case], Limits]:
    """A case's limits; the form plugin runs its body here, to which composed's apply."""
    known: dict[Case, Limits] = {}

    def limits(case: Case) -> Limits:
        if case.form == "plugin":
            case = replace(case, form="composed")
        if case not in known:
            known[case] = tolerances.limits(case)
        return known[case]

    return limits


@pytest.fixture(scope="session")
def right_sessions() -> Iterator[Callable[[str], Sessions]]:
    """right_sessions(engine): sessions of the right models, shared by all tests."""
    known: dict[str, Sessions] = {}

    def sessions(name: str) -> Sessions:
        if name not in known:
            known[name] = Sessions(opener(name, None))
        return known[name]

    yield sessions
    for each in known.values():
        each.__exit__(None, None, None)


@pytest.fixture
def subject(
    limits_of: Callable[[Case], Limits], right_sessions: Callable[[str], Sessions]
) -> Iterator[MakeSubject]:
    """subject(case, mutant=None): the right model of a case, or a mutant in its form's place."""
    opened: list[Sessions] = []

    def make(case: Case, mutant: Mutant | None = None) -> Subject:
        if mutant is None:
            return Subject(case, limits_of, right_sessions(case.engine))
        opened.append(Sessions(opener(case.engine, mutant)))
        return Subject(case, limits_of, opened[-1])

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def opener(name: str, mutant: Mutant | None) -> Callable[[str, Precision, int], Session]:
    found = engine(name)
    assert isinstance(found, Executor)

    def open_session(form: str, precision: Precision, rank: int) -> Session:
        if mutant is not None and form == mutant.form:
            model = mutant.build(precision.name, rank=rank)
        else:
            model = models.build(form, "alone", precision.name, rank=rank)
        return found.open(models.serialize(model), precision)

    return open_session
