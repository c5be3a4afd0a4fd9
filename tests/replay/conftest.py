"""Wrong models on real engines, their findings, and stored folders of them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import models
from models.mutants import MUTANTS
from verify import replay
from verify.bands import BANDS
from verify.cases import Case
from verify.engines import Executor, engine
from verify.findings import Finding, from_judgement
from verify.judge import judge
from verify.oracle import expected
from verify.precision import Array, by_name
from verify.replay.shrink import feed
from verify.samples import sample
from verify.tolerances import Limits

Load = Callable[[Path], Any]
Run = Callable[[Path], "subprocess.CompletedProcess[str]"]
Find = Callable[..., replay.Request]
Stored = Callable[[str, str], tuple[Finding, replay.Request]]


def _limits(allowed: float = 64.0, **changes: Any) -> Limits:
    ulp = {(band, result): allowed for band in BANDS for result in ("regular", "subnormal")}
    return replace(Limits("test", ulp, {}, {}, True, ()), **changes)


def _model(name: str, precision: str, context: str, rank: int | None) -> bytes:
    if name in models.FORMS:
        return models.serialize(models.build(name, context, precision, rank=rank))
    mutant = next(m for m in MUTANTS if m.name == name)
    return models.serialize(mutant.build(precision, context, rank=rank))


def _find(
    name: str,
    engine_name: str,
    precision_name: str,
    *,
    context: str = "alone",
    limits: Limits | None = None,
    x: Array | None = None,
    pick: Callable[[Finding], bool] = lambda _: True,
) -> replay.Request:
    precision = by_name(precision_name)
    limits = _limits() if limits is None else limits
    x = sample(precision, 0).values if x is None else x
    model = _model(name, precision_name, context, None if x.ndim == 1 else x.ndim)
    executor = engine(engine_name)
    assert isinstance(executor, Executor)
    flat = x.reshape(-1)
    views = expected(context, flat, precision)
    with executor.open(model, precision) as session:
        outputs = session.run(feed(x, context))
    case = Case("composed", context, precision, engine_name)
    findings = from_judgement(case, judge(views, outputs, flat, precision, limits))
    finding = next(f for f in findings if pick(f))

    def open_session() -> Any:
        return executor.open(model, precision)

    return replay.Request(finding, model, x, views, limits, open_session)


def _run(folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [folder / "replay.sh"],
        cwd="/",
        env={**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
    )


def _load(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("stored_compare", folder / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Bytecode would be kept by time and size, and tests change the file within a second.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


@pytest.fixture(scope="session")
def limits() -> Callable[..., Limits]:
    """limits(allowed, **changes): the same ULP in every band."""
    return _limits


@pytest.fixture(scope="session")
def find() -> Find:
    """find(mutant or form, engine, precision, …): a request to store its first finding."""
    return _find


@pytest.fixture(scope="session")
def run() -> Run:
    """run(folder): run replay.sh from another folder."""
    return _run


@pytest.fixture(scope="session")
def load() -> Load:
    """load(folder): its compare.py as a module."""
    return _load


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """stored(engine, precision): the finding in F1's negative tail, stored once a session."""
    known: dict[tuple[str, str], tuple[Finding, replay.Request]] = {}

    def get(engine_name: str, precision: str) -> tuple[Finding, replay.Request]:
        key = (engine_name, precision)
        if key not in known:
            request = _find(
                "f1-as-published",
                engine_name,
                precision,
                limits=_limits(4.0),
                pick=lambda f: f.band == "negative tail",
            )
            folder = tmp_path_factory.mktemp("stored it's")
            (finding,) = replay.store_all([request], folder)
            known[key] = finding, request
        return known[key]

    return get
