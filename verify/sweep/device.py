"""The GPU as a backend of a sweep: TensorRT's plan and the comparison, and nothing on the bus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from verify.cases import Case
from verify.engines import EngineFailure
from verify.engines.inspection import Unreadable, layers_of, plugin_fault
from verify.engines.recipe import recipe
from verify.engines.tensorrt import Tensorrt
from verify.precision import Array, Precision
from verify.sweep import gpu
from verify.sweep.gpu import OutOfMemory, Ready, Setup
from verify.sweep.segment import segments
from verify.sweep.span import Span
from verify.sweep.worker import Part
from verify.tolerances import Limits

__all__ = ["Device", "sizes"]

# Seconds. A first build starts CUDA and times its kernels; a round takes milliseconds unless the
# host has to judge most of it.
_BUILDING, _ROUND = 600.0, 1200.0


def sizes(precision: Precision) -> tuple[tuple[int, int], ...]:
    """Inputs of a chunk and of a round to try, the largest first.

    A round of 2**30 fp32 inputs takes 4 GiB for its outputs, and there are two at a time. It is
    long, as what the host does for each hardly depends on its length; and several, as the last one
    is settled while the GPU waits.
    """
    if precision.total_bits == 16:
        return ((1 << 16, 1 << 16),)
    return tuple((1 << c, 1 << r) for c, r in ((27, 30), (26, 28), (25, 26), (24, 24), (22, 22)))


class Device:
    """Executes and judges on the GPU that TensorRT runs on, for the context ``alone``.

    The plan is built, and inspected where a plugin is meant, when this is made: with one static
    shape, a chunk of inputs. Where the GPU is out of memory chunks are made smaller. ``trusted``:
    False leaves every judgement to the host, to check the GPU's by. ``settled``: of how many
    elements of the last sweep the host computed the error, by each of
    `verify.sweep.settlement.REASONS`. ``plans``: a folder in which the plan is kept and found.
    Raises what `Tensorrt.open` does, and InputError for a kept plan that can't be read.
    """

    jobs = 1

    def __init__(
        self,
        runner: Tensorrt,
        case: Case,
        model: bytes,
        limits: Limits,
        *,
        trusted: bool = True,
        plans: Path | None = None,
    ) -> None:
        if case.context != "alone":
            raise ValueError(f"{case.id}: only the context alone is swept on a GPU")
        self._runner, self._precision = runner, case.precision
        plugin = runner.plugin
        name = None if plugin is None else plugin.name
        made = recipe(
            model,
            case.precision.name,
            runner.strategy,
            plugin=name,
            tactic_sources=runner.tactic_sources,
        )
        parted = segments(case.precision, limits)
        start = time.perf_counter()
        ready: Ready | None = None
        for chunk, size in sizes(case.precision):
            setup = Setup(
                recipe=made.at((chunk,)),
                library=None if plugin is None else plugin.library,
                preload=() if plugin is None else plugin.preload,
                case_id=case.id,
                limits=limits,
                segments=parted if trusted else (),
                chunk=chunk,
                round=size,
                plans="" if plans is None else str(plans.resolve()),
            )
            try:
                ready = runner.call(_BUILDING, gpu.prepare, setup)
            except OutOfMemory:
                # What a pool still holds is only given back with the process.
                runner.close()
                continue
            self.chunk, self.round = chunk, size
            break
        if ready is None:
            raise EngineFailure("the GPU is out of memory, for the smallest chunks too")
        self.build_seconds = time.perf_counter() - start
        self.plan = ready.plan
        self._copy_seconds = ready.copy_seconds
        self.settled: dict[str, int] = {}
        if made.plugin is not None:
            fault = _fault(ready, made.plugin.op, made.plugin.version, case.precision)
            if fault:
                raise EngineFailure(f"the plugin was not tested: {fault}")

    def parts(self, span: Span) -> Iterator[Part]:
        """A part for each round. Raises EngineFailure."""
        part: Part | None
        try:
            self._runner.call(_ROUND, gpu.start, span)
            while (part := self._runner.call(_ROUND, gpu.next_part)) is not None:
                yield part
            self.settled = self._runner.call(_ROUND, gpu.settled)
        except EngineFailure:
            # A GPU that a plugin broke stays so for the whole process.
            self._runner.close()
            raise

    def busy(self) -> dict[str, float]:
        """Seconds of the last sweep that the GPU was busy (``plan``: with the plan), and the host.

        The host settles a round while the GPU is at the next.
        """
        found: dict[str, float] = self._runner.call(_ROUND, gpu.busy)
        return found

    def oracle(self, first: int, count: int) -> Array:
        """Mish of the bit patterns from ``first`` on as the GPU computes it, float64."""
        found: Array = self._runner.call(_ROUND, gpu.oracle, first, count)
        return found

    def plan_bytes(self) -> bytes:
        """The plan, serialized, for inputs of the shape ``(chunk,)``."""
        found: bytes = self._runner.call(_ROUND, gpu.plan)
        return found

    def close(self) -> None:
        """Free the memory of the GPU."""
        self._runner.call(_ROUND, gpu.close)

    def copy_seconds(self, inputs: int) -> float:
        """What a device copy of as many bytes as these inputs take, measured once and scaled.

        It reads and writes as many bytes as a plan has to.
        """
        return self._copy_seconds * inputs / self.chunk


def _fault(ready: Ready, op: str, version: str, precision: Precision) -> str:
    """Why the plan does not test the plugin, empty if it does."""
    try:
        layers = layers_of(ready.information)
    except Unreadable as error:
        return str(error)
    return plugin_fault(layers, op, version, precision.name)
