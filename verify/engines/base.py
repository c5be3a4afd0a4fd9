"""The interface of engines: a status, sessions that run a model, builders that make plans."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from verify.precision import BF16, Array, Precision

__all__ = [
    "Builder",
    "Built",
    "EngineFailure",
    "Executor",
    "Lacking",
    "Poisoned",
    "PolygraphySession",
    "Refused",
    "RunFailure",
    "Session",
    "Status",
    "installed_version",
]


class Refused(Exception):
    """The engine rejects the model; the message is in the engine's words, on one line."""


class Lacking(Refused):
    """This version of the engine does not have it; known beforehand, so that no list says so."""


class EngineFailure(Exception):
    """The engine broke: neither a result nor a refusal."""


class RunFailure(EngineFailure):
    """What was built broke while it ran: it died, hung, was refused, or wrote memory wrongly."""


class Poisoned(RunFailure):
    """The same, and the process can't use the device any more."""


@dataclass(frozen=True)
class Status:
    """What an engine can do on this machine, and why not more.

    ``device`` is what it executes on. ``reason`` says why it can't execute, ``install`` what
    would change that; both empty where it can. ``driver``: the release of the NVIDIA driver,
    empty where the device is none of NVIDIA's.
    """

    engine: str
    version: str
    executes: bool
    builds: bool
    device: str
    reason: str = ""
    install: str = ""
    driver: str = ""


@dataclass(frozen=True)
class Built:
    """A plan that was parsed and built: its layers as the parser made them, its size in bytes."""

    layers: tuple[str, ...]
    plan_bytes: int


class Session(Protocol):
    """A model ready to run. A context manager; not for several threads at once."""

    def run(self, x: Array) -> dict[str, Array]:
        """Outputs by name for input ``x`` (the precision's dtype, the model's rank)."""

    def __enter__(self) -> Session: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Executor(Protocol):
    """An engine that can execute here."""

    name: str

    def status(self) -> Status:
        """What it can do here; never raises."""

    def open(self, model: bytes, precision: Precision) -> Session:
        """Load a serialized ONNX model; raises Refused or EngineFailure."""


@runtime_checkable
class Builder(Protocol):
    """An engine that at least parses models and builds plans here."""

    name: str

    def status(self) -> Status:
        """What it can do here; never raises."""

    def build(
        self, models: Sequence[bytes], precisions: Sequence[Precision]
    ) -> list[Built | Refused | EngineFailure]:
        """Parse and build each model; one result each, in order."""


class PolygraphySession:
    """A Polygraphy runner as a session. bf16 crosses Polygraphy as uint16 bits."""

    def __init__(self, runner: Any, precision: Precision) -> None:
        self._runner = runner
        self._precision = precision

    def __enter__(self) -> PolygraphySession:
        self._runner.activate()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.deactivate()

    def run(self, x: Array) -> dict[str, Array]:
        """Run the model once; the arrays returned are the caller's."""
        bf16 = self._precision is BF16
        # check_inputs compares with NumPy dtypes, which bf16 has none of; the judge checks
        # names, dtypes and sizes of what comes back.
        outputs = self._runner.infer({"x": x.view("uint16") if bf16 else x}, check_inputs=False)
        return {
            name: array.view(self._precision.dtype) if bf16 else array
            for name, array in outputs.items()
        }


def installed_version(distribution: str) -> str:
    """The version of an installed distribution, empty if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
