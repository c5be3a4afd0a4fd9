"""Output memory that shows what was not written and what was written beside it.

Needs TensorRT and a GPU; used in the process that executes plans.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorrt as trt
from polygraphy import cuda
from polygraphy.datatype import DataType

from verify.engines.poison import GUARD, Region, words
from verify.precision import Precision

__all__ = ["GuardedOutputs"]

_CHUNK = 1 << 20  # bytes of poison that come from the host; the rest is copied on the GPU


class GuardedOutputs(trt.IOutputAllocator):  # type: ignore[misc]  # TensorRT ships no types
    """Takes the place of `TrtRunner`'s own output allocator.

    Every output gets memory between two guards. All of it is poisoned on ``stream``, the plan's
    own, before each run.
    """

    def __init__(self, stream: Any, precision: Precision) -> None:
        trt.IOutputAllocator.__init__(self)
        self._stream = stream
        self._memory: dict[str, Any] = {}
        self._fresh: set[str] = set()
        self._source = cuda.DeviceArray.raw((_CHUNK,))
        self._source.copy_from(words(_CHUNK, precision))
        # What TrtRunner reads of its allocator.
        self.buffers: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def set_use_torch(self, use_torch: bool) -> None:
        """Part of what TrtRunner calls; PyTorch is never used here."""

    def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
        """The address for an output of ``size`` bytes; TensorRT 8.6 to 9."""
        return self._reallocate(name, size)

    def reallocate_output_async(
        self, name: str, memory: int, size: int, alignment: int, stream: int
    ) -> int:
        """The same from 10 on."""
        return self._reallocate(name, size)

    def notify_shape(self, name: str, shape: Any) -> None:
        """TensorRT tells the shape of an output."""
        self.shapes[name] = tuple(shape)

    def begin(self) -> None:
        """Poison what there is: TensorRT need not ask for memory that it knows already."""
        for memory in self._memory.values():
            self._fill(memory)
        self._fresh = set(self._memory)

    def region(self, name: str, nbytes: int) -> Region:
        """An output's memory after a run, on the host; the stream must be idle."""
        if name not in self._memory:  # an empty output, for which nothing was asked
            empty = np.empty(0, dtype=np.uint8)
            return Region(empty, empty, empty)
        host = np.empty(nbytes + 2 * GUARD, dtype=np.uint8)
        memory = self._memory[name]
        cuda.wrapper().memcpy(
            host.ctypes.data, memory.ptr, host.nbytes, cuda.MemcpyKind.DeviceToHost
        )
        return Region(host[:GUARD], host[GUARD : GUARD + nbytes], host[GUARD + nbytes :])

    def free(self) -> None:
        """Free all memory; the plan must not run any more."""
        for memory in (*self._memory.values(), self._source):
            memory.free()
        self._memory.clear()

    def _reallocate(self, name: str, size: int) -> int:
        memory = self._memory.setdefault(name, cuda.DeviceArray.raw((0,)))
        if size + 2 * GUARD > memory.allocated_nbytes:
            memory.resize((size + 2 * GUARD,))
            self._fresh.discard(name)
        if name not in self._fresh:
            self._fill(memory)
        inside = int(memory.ptr) + GUARD
        self.buffers[name] = cuda.DeviceView(inside, (size,), DataType.UINT8)
        return inside

    def _fill(self, memory: Any) -> None:
        total = int(memory.allocated_nbytes)
        done = min(total, _CHUNK)
        self._copy(memory.ptr, self._source.ptr, done)
        while done < total:
            step = min(done, total - done)
            self._copy(memory.ptr + done, memory.ptr, step)
            done += step

    def _copy(self, target: int, source: int, nbytes: int) -> None:
        cuda.wrapper().memcpy(
            target, source, nbytes, cuda.MemcpyKind.DeviceToDevice, self._stream.ptr
        )
