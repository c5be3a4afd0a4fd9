"""The GPU by cuda-core: streams, guarded memory, and graphs captured in global mode.

What cuda-core has no word for is asked of CUDA's runtime directly: memory of exactly so many
bytes, which a sanitizer sees the ends of, patterns of 32 bits, and captures that fail.
"""

from __future__ import annotations

import importlib.util
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.plumbing.tensor import GUARD, Region

__all__ = ["CudaError", "Device", "Graph", "Memory", "SpoiledCapture", "lacking"]


def lacking() -> str:
    """Why the GPU can't be driven from Python here, in one line; empty if it can."""
    for package in ("cuda.core", "cuda.bindings"):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:  # no package `cuda` at all
            found = None
        if found is None:
            return f"the package {package} is not installed; `pip install 'mish-verify[gpu]'`"
    return ""


class CudaError(Exception):
    """A call of CUDA's failed; the message is the error's name."""


class Device:
    """The current GPU; makes its context the current one. One for each process."""

    def __init__(self) -> None:
        try:
            from cuda.core import Device as Core
            from cuda.core import StreamOptions
        except ImportError:  # before 1.0
            from cuda.core.experimental import Device as Core
            from cuda.core.experimental import StreamOptions
        self._options = StreamOptions
        self._core = Core()
        self._core.set_current()
        self._runtime = _runtime()
        self.stream = self.new_stream()

    def enter(self) -> None:
        """Make the GPU's context current in this thread."""
        self._core.set_current()

    def new_stream(self, *, blocking: bool = False) -> Any:
        """A stream; a blocking one waits for the legacy default stream, and it for that."""
        return self._core.create_stream(options=self._options(nonblocking=not blocking))

    def memory(self, nbytes: int, *, guard: int = GUARD) -> Memory:
        """Memory of ``nbytes`` between two guards; free it with ``close``."""
        return Memory(nbytes, guard)

    def room(self) -> int:
        """Bytes that are free."""
        free, _ = _ok(self._runtime.cudaMemGetInfo())
        return int(free)

    def sync(self) -> None:
        """Wait for all work; raises CudaError for what failed meanwhile."""
        _ok(self._runtime.cudaDeviceSynchronize())

    def fault(self) -> str:
        """The error that CUDA is stuck with in this process; empty if it works."""
        for call in (self._runtime.cudaDeviceSynchronize, self._runtime.cudaGetLastError):
            (code,) = call()
            if int(code):
                return str(code.name)
        return ""


class Memory:
    """Bytes on the GPU between two guards. Everything is ordered on the stream that is given."""

    def __init__(self, nbytes: int, guard: int) -> None:
        self._runtime = _runtime()
        self.nbytes, self._guard = nbytes, guard
        # A multiple of 4 in all, for patterns of 32 bits.
        self._total = (max(nbytes, 1) + 2 * guard + 3) // 4 * 4
        self._base = int(_ok(self._runtime.cudaMalloc(self._total if guard else max(nbytes, 1))))
        self.address = self._base + guard

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free it; harmless a second time. Waits for the GPU."""
        if self._base:
            base, self._base = self._base, 0
            self._runtime.cudaFree(base)  # its error is the one that CUDA is stuck with

    def poison(self, word: int, stream: Any, nbytes: int | None = None) -> None:
        """Fill it, or its first ``nbytes`` and what would be their guards, with a pattern."""
        total = self._total if nbytes is None else (nbytes + 2 * self._guard + 3) // 4 * 4
        _driver_ok(_driver().cuMemsetD32Async(self._base, word, total // 4, _handle(stream)))

    def put(self, data: NDArray[Any], stream: Any, offset: int = 0) -> None:
        """Copy from the host; has happened when this returns."""
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self._copy(self.address + offset, flat.ctypes.data, flat.nbytes, stream, "HostToDevice")
        stream.sync()

    def take(self, source: Memory, stream: Any, nbytes: int | None = None) -> None:
        """Copy ``nbytes`` (all by default) of other memory on the GPU; only ordered."""
        count = source.nbytes if nbytes is None else nbytes
        self._copy(self.address, source.address, count, stream, "DeviceToDevice")

    def repeat(self, tile: NDArray[Any], stream: Any) -> None:
        """Fill it with a tile, again and again; the last one may be cut."""
        first = min(tile.nbytes, self.nbytes)
        self.put(np.ascontiguousarray(tile).reshape(-1).view(np.uint8)[:first], stream)
        done = first
        while done < self.nbytes:
            # Whole tiles as long as there are any, so that the next one begins where it must.
            step = min(done, self.nbytes - done)
            self._copy(self.address + done, self.address, step, stream, "DeviceToDevice")
            done += step

    def get(self, stream: Any, nbytes: int | None = None, offset: int = 0) -> NDArray[np.uint8]:
        """Bytes of it on the host, after all work on the stream."""
        count = self.nbytes - offset if nbytes is None else nbytes
        return self._read(self.address + offset, count, stream)

    def region(self, stream: Any, nbytes: int | None = None) -> Region:
        """The first ``nbytes`` (all by default) with the guards around them."""
        inside = self.nbytes if nbytes is None else nbytes
        whole = self._read(self._base, inside + 2 * self._guard, stream)
        end = self._guard + inside
        return Region(whole[: self._guard], whole[self._guard : end], whole[end:])

    def _read(self, address: int, nbytes: int, stream: Any) -> NDArray[np.uint8]:
        host = np.empty(nbytes, dtype=np.uint8)
        self._copy(host.ctypes.data, address, nbytes, stream, "DeviceToHost")
        stream.sync()
        return host

    def _copy(self, target: int, source: int, nbytes: int, stream: Any, way: str) -> None:
        if nbytes:
            kind = getattr(self._runtime.cudaMemcpyKind, f"cudaMemcpy{way}")
            _ok(self._runtime.cudaMemcpyAsync(target, source, nbytes, kind, _handle(stream)))


class Graph:
    """Work captured on a stream in global mode, the strictest one and CUDA's own default.

    As a context manager it captures what is done inside; raises CudaError where that failed,
    and leaves the stream as it was.
    """

    def __init__(self, stream: Any) -> None:
        self._runtime = _runtime()
        self._stream = stream
        self._graph: Any = None
        self._executable: Any = None

    def __enter__(self) -> Graph:
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal
        _ok(self._runtime.cudaStreamBeginCapture(_handle(self._stream), mode))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        code, graph = self._runtime.cudaStreamEndCapture(_handle(self._stream))
        self._runtime.cudaGetLastError()
        if error is not None:
            return
        if int(code):
            raise CudaError(str(code.name))
        self._graph = graph
        self._executable = _ok(self._runtime.cudaGraphInstantiate(graph, 0))

    def launch(self) -> None:
        """Launch it on the stream that it was captured on."""
        _ok(self._runtime.cudaGraphLaunch(self._executable, _handle(self._stream)))

    def close(self) -> None:
        """Free it."""
        if self._executable is not None:
            self._runtime.cudaGraphExecDestroy(self._executable)
            self._runtime.cudaGraphDestroy(self._graph)
            self._executable = None


class SpoiledCapture:
    """A capture that was made invalid on purpose: every launch on the stream fails inside.

    Synchronizing a stream that is being captured is such a fault; nothing of it is left when the
    capture has ended.
    """

    def __init__(self, stream: Any) -> None:
        self._runtime = _runtime()
        self._stream = stream

    def __enter__(self) -> str:
        """Returns the name of the error that spoiled it; empty if nothing did."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed
        _ok(self._runtime.cudaStreamBeginCapture(_handle(self._stream), mode))
        (code,) = self._runtime.cudaStreamSynchronize(_handle(self._stream))
        self._runtime.cudaGetLastError()
        return str(code.name) if int(code) else ""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runtime.cudaStreamEndCapture(_handle(self._stream))
        self._runtime.cudaGetLastError()


def _runtime() -> Any:
    from cuda.bindings import runtime

    return runtime


def _driver() -> Any:
    from cuda.bindings import driver

    return driver


def _handle(stream: Any) -> int:
    return int(stream.handle)


def _ok(answer: tuple[Any, ...]) -> Any:
    code, *values = answer
    if int(code):
        # What is reported is not to be found again by a later call.
        _runtime().cudaGetLastError()
        raise CudaError(str(code.name))
    return values[0] if len(values) == 1 else tuple(values)


def _driver_ok(answer: tuple[Any, ...]) -> None:
    if int(answer[0]):
        raise CudaError(str(answer[0].name))
