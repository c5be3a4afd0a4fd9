"""Small sweeps, of right and of wrong models, and the command line in this process."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import models
from models.mutants import mutant
from verify import __main__ as main
from verify.cases import bound_by, parse
from verify.engines import Executor, engine
from verify.engines.onnxruntime import PROVIDER_VARIABLE
from verify.run import model_of
from verify.sweep.record import SweepRecord
from verify.sweep.run import Host, sweep
from verify.sweep.span import Span, whole
from verify.tolerances import DEFAULT_FOLDER, Limits, load

Swept = Callable[..., SweepRecord]


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str


Cli = Callable[..., Done]


def _executor(case_id: str) -> Executor:
    runner = engine(parse(case_id).engine)
    assert isinstance(runner, Executor)
    return runner


def _swept(
    case_id: str,
    first: int = 0,
    end: int | None = None,
    *,
    wrong: str = "",
    limits: Limits | None = None,
) -> SweepRecord:
    case = parse(case_id)
    runner = _executor(case_id)
    span = whole(case.precision)
    span = Span(case.precision, first, span.end if end is None else end)
    model = model_of(case)
    if wrong:
        model = models.serialize(mutant(wrong).build(case.precision.name, case.context))
    limits = load().limits(bound_by(case)) if limits is None else limits
    backend = Host(runner, case, model, limits)
    record, interrupted = sweep(backend, runner, case, model, limits, span)
    assert not interrupted
    return record


@pytest.fixture(scope="session")
def swept() -> Swept:
    """swept(case id, first unit, end unit, wrong=mutant, limits=…): a record."""
    return _swept


@pytest.fixture(scope="session")
def executor() -> Callable[[str], Executor]:
    """executor(case id): the engine of a case."""
    return _executor


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """cli(*words): `python -m verify …` in an empty folder, without the start of a process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PROVIDER_VARIABLE, os.environ.get(PROVIDER_VARIABLE, "cpu"))

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["verify", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as caught:
            main.main()
        out, err = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int)
        return Done(code, out, err)

    return run


@pytest.fixture
def tolerances(tmp_path: Path) -> Path:
    """A copy of the tolerance files, without observations, to spoil."""
    folder = tmp_path / "tolerances"
    shutil.copytree(DEFAULT_FOLDER, folder, ignore=shutil.ignore_patterns("observed"))
    return folder
