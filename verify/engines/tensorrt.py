"""Full TensorRT: plans built and executed on a GPU, in a process that a plugin may break."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from verify.engines import execution
from verify.engines.base import (
    EngineFailure,
    Lacking,
    Poisoned,
    Refused,
    RunFailure,
    Status,
    installed_version,
)
from verify.engines.inspection import Layer, Unreadable, layers_of, plugin_fault
from verify.engines.nvidia import driver, gpu
from verify.engines.recipe import PluginName, Recipe, read, recipe
from verify.engines.registry import NotLoaded
from verify.engines.version import Strategy, TooOld, strategy
from verify.errors import InputError
from verify.library import Library
from verify.precision import Array, Precision
from verify.worker import Died, TimedOut, Worker

__all__ = ["Plugin", "Replay", "Tensorrt", "TensorrtSession", "version_at_hand"]

# Every name that TensorRT's Python package is distributed by.
_DISTRIBUTIONS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")

# Seconds. A first build starts CUDA and times its kernels; a run of a sample takes milliseconds.
_BUILDING, _RUNNING = 300.0, 60.0
_AFTER_A_HANG = 0.2  # of these: who hung once will again, and what is found need not wait so long


@dataclass(frozen=True)
class Plugin:
    """A plugin under test: its library, what must be loaded before it, and its name."""

    library: Library
    name: PluginName
    preload: tuple[str, ...] = ()
    tensorrt: str = ""  # the path of TensorRT's own library


@dataclass(frozen=True)
class Replay:
    """What `polygraphy run` needs to build and run the same plan."""

    model: bytes
    plugin: Plugin | None
    profile: tuple[tuple[int, ...], ...]
    strategy: Strategy
    half: bool
    tactic_sources: bool
    optimization_level: int | None = None


class Tensorrt:
    """The engine ``tensorrt``, with a plugin library or without.

    ``tactic_sources`` False builds every plan without cuBLAS and cuDNN. Plans stay open in the
    worker and are found again, whoever asks for them. ``worker``: one that was started
    beforehand, for this plugin alone.
    """

    name = "tensorrt"

    def __init__(
        self,
        plugin: Plugin | None = None,
        *,
        tactic_sources: bool | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.plugin = plugin
        self._tactic_sources = tactic_sources
        # Without a plugin every object shares one process: its start costs seconds.
        self._worker = worker or (_shared_worker() if plugin is None else Worker())
        self.static = False  # the plugin was found to refuse dynamic shapes
        self._hung = False

    def status(self) -> Status:
        """Executes wherever there are a GPU and a TensorRT that is not too old."""
        version, found = version_at_hand(), gpu()
        missing = [found] if isinstance(found, str) else []
        if not version:
            missing.append("the package tensorrt is not installed")
        else:
            try:
                strategy(version)
            except (TooOld, ValueError) as error:
                missing.append(str(error))
        if missing or isinstance(found, str):
            install = "a machine with an NVIDIA GPU"
            install += "" if version else " and `pip install tensorrt`"
            return Status(self.name, version, False, False, "", "; ".join(missing), install)
        return Status(self.name, version, True, True, found.name, driver=driver())

    @property
    def strategy(self) -> Strategy:
        """What the version at hand has."""
        return strategy(version_at_hand())

    def open(self, model: bytes, precision: Precision) -> TensorrtSession:
        """A session for a model; the plan is built now.

        Raises Lacking where this version has no such thing, Refused in TensorRT's words, and
        EngineFailure where the plugin is not what runs.
        """
        lacks = self.strategy.lacks("op" if "Mish" in read(model).operators else "", precision.name)
        if lacks:
            raise Lacking(lacks)
        plugin = None if self.plugin is None else self.plugin.name
        return self._open(
            recipe(
                model,
                precision.name,
                self.strategy,
                plugin=plugin,
                tactic_sources=self.tactic_sources,
            )
        )

    def open_layers(self, precision: Precision, rank: int = 1) -> TensorrtSession:
        """The same for composed layers that the network API makes, without ONNX."""
        lacks = self.strategy.lacks("composed", precision.name)
        if lacks:
            raise Lacking(lacks)
        return self._open(
            recipe(
                b"", precision.name, self.strategy, tactic_sources=self.tactic_sources, rank=rank
            )
        )

    def replay(self, model: bytes, precision: Precision) -> Replay:
        """What it takes to run the model without this package."""
        plugin = None if self.plugin is None else self.plugin.name
        made = recipe(model, precision.name, self.strategy, plugin=plugin)
        if self.static:
            made = made.at(made.profile[1] if made.profile else made.shape)
        half = self.strategy.obey_types and precision.name == "fp16"
        return Replay(
            model=made.model,
            plugin=self.plugin,
            profile=made.profile,
            strategy=self.strategy,
            half=half,
            tactic_sources=self.tactic_sources,
            optimization_level=made.optimization_level,
        )

    @property
    def tactic_sources(self) -> bool:
        """Whether plans may use cuBLAS and cuDNN: by default, unless 8.6 lacks the real ones."""
        if self._tactic_sources is None:
            self._tactic_sources = self.strategy.version >= (10, 0)
        return self._tactic_sources

    @property
    def worker(self) -> Worker:
        """The process in which plans are built and run."""
        return self._worker

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def _open(self, wanted: Recipe) -> TensorrtSession:
        if self.static and wanted.profile:
            # A refusal shows now, as it would with a dynamic plan.
            self.plan(wanted.at(wanted.profile[1]))
            return TensorrtSession(self, wanted, None)
        try:
            return TensorrtSession(self, wanted, self.plan(wanted))
        except Refused:
            if wanted.plugin is None or not wanted.profile:
                raise
            # A plugin of an older interface may know static shapes only.
            try:
                self.plan(wanted.at(wanted.profile[1]))
            except Refused:
                pass
            else:
                self.static = True
                return TensorrtSession(self, wanted, None)
            raise

    def plan(self, wanted: Recipe) -> execution.Opened:
        """Build a plan, or find it again; raises what `open` does."""
        library = None if self.plugin is None else self.plugin.library
        preload = () if self.plugin is None else self.plugin.preload
        opened: execution.Opened = self.call(
            _BUILDING, execution.open_plan, wanted, library, preload
        )
        if wanted.plugin is not None:
            fault = _untested(opened, wanted)
            if fault:
                raise EngineFailure(f"the plugin was not tested: {fault}")
        return opened

    def execute(self, wanted: Recipe, key: str, x: Array) -> dict[str, Array]:
        """Run an open plan, or build it again where it was closed meanwhile."""
        outputs: dict[str, Array] | None = self.call(_RUNNING, execution.run_plan, key, x)
        if outputs is None:
            self.plan(wanted)
            outputs = self.call(_RUNNING, execution.run_plan, key, x)
        assert outputs is not None
        return outputs

    def call(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call into the worker; whatever breaks there is a refusal or a failure of the engine.

        Takes ``seconds`` at most, and a part of them once a call has hung.
        """
        if self._hung:
            seconds *= _AFTER_A_HANG
        try:
            return self._worker.call(function, *arguments, seconds=seconds)
        except Poisoned:
            self._worker.close()  # the next call gets a new process
            raise
        except (Refused, EngineFailure, InputError):
            raise
        except Died as error:
            self._hung |= isinstance(error, TimedOut)
            raise RunFailure(f"TensorRT's process {error}") from None
        except NotLoaded as error:
            raise EngineFailure(str(error)) from None
        except Exception as error:  # bindings and Polygraphy raise all kinds
            said = " ".join(str(error).split())
            raise EngineFailure(f"{type(error).__name__}: {said}") from None


class TensorrtSession:
    """A plan as a session; ``opened`` is None where every shape has a static plan of its own."""

    def __init__(self, engine: Tensorrt, wanted: Recipe, opened: execution.Opened | None) -> None:
        self._engine = engine
        self._recipe = wanted
        self._opened = opened

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The plan's layers; none where every shape has a plan of its own."""
        return layers_of(self._opened.information) if self._opened is not None else ()

    def __enter__(self) -> TensorrtSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to do: the plan stays open in the worker, for whoever asks for it next."""

    def run(self, x: Array) -> dict[str, Array]:
        """Run the plan; raises RunFailure, also for memory that was written wrongly.

        An input that is larger than the profile's largest shape is run in parts.
        """
        wanted, opened = self._recipe, self._opened
        largest = wanted.profile[2][0] if wanted.profile else 0
        if largest and len(x) > largest:
            parts = [self.run(x[start : start + largest]) for start in range(0, len(x), largest)]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if opened is None:
            wanted = wanted.at(x.shape)
            opened = self._engine.plan(wanted)
        return self._engine.execute(wanted, opened.key, x)


@lru_cache(maxsize=1)
def _shared_worker() -> Worker:
    return Worker()


def version_at_hand() -> str:
    """The version of the installed TensorRT, empty if there is none."""
    found = importlib.util.find_spec("tensorrt")
    if found is None or found.origin is None:
        return ""
    version = next(filter(None, map(installed_version, _DISTRIBUTIONS)), "")
    return version or _version_in(Path(found.origin))


def _version_in(source: Path) -> str:
    """The version in the package's own text, where an archive was unpacked without metadata."""
    try:
        text = source.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    said = re.search(r"^__version__ = [\"']([^\"']+)", text, re.MULTILINE)
    return said[1] if said else ""


def _untested(opened: execution.Opened, wanted: Recipe) -> str:
    assert wanted.plugin is not None
    try:
        layers = layers_of(opened.information)
    except Unreadable as error:
        return str(error)
    return plugin_fault(
        layers,
        wanted.plugin.op,
        wanted.plugin.version,
        wanted.precision,
        count=wanted.plugin_layers,
    )
