"""A plan, its inputs and the comparison on one GPU, in the process that a plugin may break.

Only module-level functions: `verify.worker.Worker` calls them. What they keep is in this
module. CUDA through cuda-core, the memory copies through cuda-bindings.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from verify.cases import parse
from verify.engines import EngineFailure, execution
from verify.engines.nvidia import gpu
from verify.engines.recipe import Recipe
from verify.engines.registry import load
from verify.errors import InputError
from verify.library import Library
from verify.precision import Array, Precision
from verify.sweep.checksum import LEAF, weights
from verify.sweep.plans import path_of, shared
from verify.sweep.segment import Segment
from verify.sweep.settlement import (
    BUCKET_ROW,
    DOUBT,
    DOUBTS,
    REASONS,
    WANTED,
    Answer,
    filled,
    oracle_fault,
    settle,
    table,
)
from verify.sweep.source import SOURCE, macros, poison
from verify.sweep.span import Span, unit_size
from verify.sweep.worker import Part
from verify.tolerances import Limits

__all__ = [
    "OutOfMemory",
    "Ready",
    "Setup",
    "busy",
    "close",
    "next_part",
    "oracle",
    "plan",
    "prepare",
    "settled",
    "start",
    "unread",
]

_THREADS = 256
_BLOCKS_PER_MULTIPROCESSOR = 8
_SEGMENTS = 64  # that comparison.cu has room for
_PICKED = 1 << 10  # tiles that the worst elements are picked from at a time
_CHECKED = 1 << 16  # inputs that the oracles are compared on
# What the plan, CUDA and TensorRT take beside our own arrays, in bytes: an estimate.
_BESIDE = 1 << 28
# What CUDA and TensorRT say of it.
_NO_MEMORY = re.compile(r"out[ _]?of[ _]?memory|could not be allocated|insufficient memory", re.I)


class OutOfMemory(EngineFailure):
    """The GPU has no memory for chunks of this size."""


@dataclass(frozen=True)
class Setup:
    """What is swept, and in which pieces.

    ``recipe`` makes a plan for exactly one chunk of inputs. A round is what is enqueued at a
    time: its outputs stay on the GPU until the host is done with it. Both in inputs, a chunk at
    most a round, a round a multiple of both the chunk and the unit. What is in no segment is left
    to the host.
    """

    recipe: Recipe
    library: Library | None
    preload: tuple[str, ...]
    case_id: str
    limits: Limits
    segments: tuple[Segment, ...]
    chunk: int
    round: int
    plans: str = ""


@dataclass(frozen=True)
class Ready:
    """A plan that is ready: its SHA-256, what the inspector says of it, and what is measured once.

    ``copy_seconds``: what a device copy of as many bytes as a chunk's inputs take.
    """

    plan: str
    information: str
    copy_seconds: float


@dataclass(frozen=True)
class _Memory:
    """Memory of the GPU, or of the host, pinned."""

    address: int
    nbytes: int


@dataclass
class _Slot:
    """The memory of one round, on the GPU and pinned on the host, and what is going on in it."""

    y: _Memory
    sums: _Memory
    errors: _Memory
    counts: _Memory
    doubts: _Memory
    number: _Memory
    host_sums: Array
    host_errors: Array
    span: Span | None = None
    begun: Any = None
    done: Any = None
    engine: tuple[tuple[Any, Any], ...] = ()


class _Sweep:
    def __init__(self, setup: Setup) -> None:
        from cuda.core import Device, EventOptions, StreamOptions

        self._setup, self._case = setup, parse(setup.case_id)
        precision = self._case.precision
        self._segments = setup.segments
        rows = table(self._segments, precision)
        if len(rows) > _SEGMENTS:
            raise EngineFailure(f"{len(rows)} segments; a GPU sweep has room for {_SEGMENTS}")
        if setup.library is not None:
            load(setup.library, setup.preload)
        self._memory: list[_Memory] = []
        self._pinned: list[_Memory] = []
        self._device = Device(0)
        self._device.set_current()
        if _free() < _needed(setup):
            raise OutOfMemory("the GPU is out of memory")
        self._timed = EventOptions(timing_enabled=True)
        # Non-blocking, as in serving: a plugin that launches on the default stream is seen.
        self._stream = self._device.create_stream(options=StreamOptions(nonblocking=True))
        # What the host waits for comes before the next round.
        self._copies = self._device.create_stream(
            options=StreamOptions(nonblocking=True, priority=-1)
        )
        engine, self._plan = _planned(setup)
        self._context = engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory("the GPU is out of memory")
        self._engine = engine
        self._kernels = _kernels(precision, self._device.arch)
        item = precision.bits_dtype.itemsize
        self._x = self._allocate(setup.chunk * item)
        self._weights = self._allocate(weights().nbytes)
        self._rows = self._allocate(max(rows.nbytes, 16))
        self._upload(self._weights, weights())
        self._upload(self._rows, rows)
        self._wanted = self._allocate(_PICKED * WANTED.itemsize)
        self._picked = self._allocate(_PICKED * LEAF * DOUBT.itemsize)
        self._number = self._allocate(4)
        self._slots = (self._slot(), self._slot())
        self._check()
        self._parts: Iterator[Part] = iter(())
        self.busy: dict[str, float] = {}
        self.settled: dict[str, int] = {}
        # Once beforehand, so that nothing is loaded lazily while it is timed.
        self.start(Span(precision, 0, setup.chunk // unit_size(precision)))
        self.next_part()
        self.ready = Ready(
            plan=hashlib.sha256(self.plan()).hexdigest(),
            information=execution.information(engine, self._context),
            copy_seconds=self._copy_seconds(),
        )

    def start(self, span: Span) -> None:
        """Sweep a span; its parts come by `next_part`."""
        self.busy = dict.fromkeys(("gpu", "plan", "host"), 0.0)
        self.settled = dict.fromkeys(REASONS, 0)
        self._parts = self._sweep(span)

    def next_part(self) -> Part | None:
        """The next part, None after the last."""
        return next(self._parts, None)

    def oracle(self, first: int, count: int, stride: int = 1) -> Array:
        """Mish of every ``stride``-th bit pattern as the GPU computes it, float64."""
        from cuda.core import LaunchConfig, launch

        memory = self._allocate(8 * count)
        launch(
            self._stream,
            LaunchConfig(grid=self._blocks(), block=_THREADS),
            self._kernels["oracle"],
            _pointer(memory),
            np.uint32(first),
            np.uint32(count),
            np.uint32(stride),
        )
        result = np.empty(count)
        self._download(result, memory.address, self._stream)
        self._memory.remove(memory)
        _done(_driver().cuMemFree(memory.address))
        return result

    def plan(self) -> bytes:
        """The plan, serialized."""
        return self._plan

    def close(self) -> None:
        """Free what it holds on the GPU."""
        self._stream.sync()
        self._copies.sync()
        self._context = self._engine = None
        for memory in self._memory:
            _driver().cuMemFree(memory.address)
        for memory in self._pinned:
            _driver().cuMemFreeHost(memory.address)
        self._memory, self._pinned = [], []

    def _check(self) -> None:
        """Hold the GPU's oracle to the host's on 2**16 inputs from everywhere."""
        precision = self._case.precision
        stride = (1 << precision.total_bits) // _CHECKED
        bits = np.arange(_CHECKED, dtype=np.int64) * stride
        fault = oracle_fault(bits, self.oracle(0, _CHECKED, stride), precision)
        if fault:
            raise EngineFailure(fault)

    def _sweep(self, span: Span) -> Iterator[Part]:
        """Enqueue a round while the host settles the one before."""
        units = _units(self._setup)
        edges = [*range(span.first, span.end, units), span.end]
        rounds = [Span(span.precision, first, end) for first, end in pairwise(edges)]
        for index, one in enumerate(rounds):
            if not index:
                self._enqueue(self._slots[0], one)
            if index + 1 < len(rounds):
                self._enqueue(self._slots[(index + 1) % 2], rounds[index + 1])
            yield self._settle(self._slots[index % 2])

    def _enqueue(self, slot: _Slot, span: Span) -> None:
        """Everything that a round takes, in order, on the plan's own stream."""
        from cuda.core import LaunchConfig, launch

        setup, precision = self._setup, span.precision
        item = precision.bits_dtype.itemsize
        first, left = span.first * unit_size(precision), span.inputs
        stream, block = self._stream, _THREADS
        slot.begun = stream.record(options=self._timed)
        for memory in (slot.counts, slot.number):
            _clear(memory, stream)
        x, timed = self._x.address, []
        vectors = setup.chunk * item // 16
        fill = LaunchConfig(grid=min(self._blocks(), -(-vectors // block)), block=block)
        for start in range(0, left, setup.chunk):
            y = slot.y.address + start * item
            launch(
                stream, fill, self._kernels["generate"], np.uint64(x), np.uint64(y),
                np.uint32(first + start), np.uint32(vectors), np.uint32(poison(precision)),
            )  # fmt: skip
            before = stream.record(options=self._timed)
            self._execute(x, y)
            timed.append((before, stream.record(options=self._timed)))
            tiles = min(setup.chunk, left - start) // LEAF
            tile = start // LEAF
            launch(
                stream,
                LaunchConfig(grid=min(self._blocks(), -(-tiles // (block // 32))), block=block),
                self._kernels["compare"],
                np.uint64(y),
                np.uint32((first + start) // LEAF),
                np.uint32(tiles),
                _pointer(self._rows),
                np.uint32(len(self._segments)),
                _pointer(self._weights),
                np.uint64(slot.sums.address + 8 * tile),
                np.uint64(slot.errors.address + 8 * tile),
                _pointer(slot.counts),
                _pointer(slot.doubts),
                np.uint32(slot.doubts.nbytes // DOUBT.itemsize),
                _pointer(slot.number),
            )
        slot.span, slot.engine = span, tuple(timed)
        slot.done = stream.record(options=self._timed)

    def _execute(self, x: int, y: int) -> None:
        for name, address in (("x", x), ("y", y)):
            self._context.set_tensor_address(name, address)
        if not self._context.execute_async_v3(int(self._stream.handle)):
            raise EngineFailure("TensorRT refuses to execute the plan")

    def _settle(self, slot: _Slot) -> Part:
        span = slot.span
        assert span is not None
        slot.done.sync()
        began = time.perf_counter()
        self.busy["gpu"] += (slot.done - slot.begun) / 1e3
        tiles = span.inputs // LEAF
        sums, errors = slot.host_sums[:tiles], slot.host_errors[:tiles]
        counts = np.empty((len(self._segments), BUCKET_ROW), dtype=np.uint64)
        number = np.empty(2, dtype=np.uint32)
        for array, memory in (
            (sums, slot.sums), (errors, slot.errors), (counts, slot.counts), (number, slot.number),
        ):  # fmt: skip
            self._download(array, memory.address, self._copies, wait=False)
        self._copies.sync()
        room = slot.doubts.nbytes // DOUBT.itemsize
        doubts = np.empty(filled(room, *number.tolist()), dtype=DOUBT)
        if len(doubts):
            self._download(doubts, slot.doubts.address, self._copies)

        def fetch(chosen: Array) -> Array:
            return self._outputs(slot, chosen)

        def pick(wanted: Array) -> Array:
            return self._picks(slot, span, wanted)

        answer = Answer(span, sums, errors, counts, doubts, fetch, pick)
        found = settle(answer, self._case, self._segments, self._setup.limits)
        for why, count in found.settled.items():
            self.settled[why] += count
        seconds = sum((after - before) / 1e3 for before, after in slot.engine)
        self.busy["plan"] += seconds
        self.busy["host"] += time.perf_counter() - began
        return Part(span.first, span.end, found.tally, found.digests, seconds)

    def _outputs(self, slot: _Slot, tiles: Array) -> Array:
        """The outputs of some tiles of a round, as bits; one copy for each run of tiles."""
        kind = self._case.precision.bits_dtype
        rows = np.empty((len(tiles), LEAF), dtype=kind)
        starts = np.flatnonzero(np.diff(tiles, prepend=-2) != 1)
        for start, end in pairwise([*starts.tolist(), len(tiles)]):
            source = slot.y.address + int(tiles[start]) * LEAF * kind.itemsize
            self._download(rows[start:end], source, self._copies, wait=False)
        self._copies.sync()
        return rows

    def _picks(self, slot: _Slot, span: Span, wanted: Array) -> Array:
        """The elements of a round that ``wanted`` asks for."""
        from cuda.core import LaunchConfig, launch

        first = span.first * (unit_size(span.precision) // LEAF)
        found, number = [], np.empty(1, dtype=np.uint32)
        for start in range(0, len(wanted), _PICKED):
            some = np.ascontiguousarray(wanted[start : start + _PICKED])
            stream = self._copies
            _copy(self._wanted.address, some.ctypes.data, some.nbytes, stream)
            _clear(self._number, stream)
            launch(
                stream,
                LaunchConfig(grid=-(-len(some) // (_THREADS // 32)), block=_THREADS),
                self._kernels["pick"],
                _pointer(slot.y),
                np.uint32(first),
                _pointer(self._rows),
                _pointer(self._wanted),
                np.uint32(len(some)),
                _pointer(self._picked),
                _pointer(self._number),
            )
            self._download(number, self._number.address, stream)
            found.append(np.empty(int(number[0]), dtype=DOUBT))
            self._download(found[-1], self._picked.address, stream)
        return np.concatenate(found)

    def _copy_seconds(self) -> float:
        """The fastest of a few device copies of a chunk's inputs."""
        best = float("inf")
        nbytes = self._setup.chunk * self._case.precision.bits_dtype.itemsize
        for _ in range(6):
            before = self._stream.record(options=self._timed)
            _copy(self._slots[0].y.address, self._x.address, nbytes, self._stream)
            after = self._stream.record(options=self._timed)
            after.sync()
            best = min(best, (after - before) / 1e3)
        return best

    def _slot(self) -> _Slot:
        precision, inputs = self._case.precision, self._setup.round
        tiles = inputs // LEAF
        return _Slot(
            y=self._allocate(inputs * precision.bits_dtype.itemsize),
            sums=self._allocate(8 * tiles),
            errors=self._allocate(8 * tiles),
            counts=self._allocate(8 * _SEGMENTS * BUCKET_ROW),
            doubts=self._allocate(DOUBTS * DOUBT.itemsize * tiles),
            number=self._allocate(8),
            host_sums=self._on_host(tiles).view(np.uint64),
            host_errors=self._on_host(tiles).view(np.float64),
        )

    def _blocks(self) -> int:
        return int(self._device.properties.multiprocessor_count) * _BLOCKS_PER_MULTIPROCESSOR

    def _allocate(self, nbytes: int) -> _Memory:
        # Not by a pool, whose failure may come late and as any exception.
        memory = _Memory(int(_done(_driver().cuMemAlloc(nbytes))[0]), nbytes)
        self._memory.append(memory)
        return memory

    def _on_host(self, count: int) -> Array:
        """Words of 8 bytes that a GPU writes at the full speed of the bus, until it is closed."""
        memory = _Memory(int(_done(_driver().cuMemHostAlloc(8 * count, 0))[0]), 8 * count)
        self._pinned.append(memory)
        return np.ctypeslib.as_array((ctypes.c_uint64 * count).from_address(memory.address))

    def _upload(self, memory: Any, array: Array) -> None:
        if array.nbytes:
            _copy(memory.address, array.ctypes.data, array.nbytes, self._stream)
        self._stream.sync()

    def _download(self, array: Array, source: int, stream: Any, *, wait: bool = True) -> None:
        if array.nbytes:
            _copy(array.ctypes.data, source, array.nbytes, stream)
        if wait:
            stream.sync()


def _units(setup: Setup) -> int:
    return setup.round // unit_size(parse(setup.case_id).precision)


def _pointer(memory: _Memory) -> Any:
    return np.uint64(memory.address)


def _driver() -> Any:
    from cuda.bindings import driver

    return driver


def _done(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call of the driver returned. Raises OutOfMemory, and EngineFailure with its code."""
    code, *rest = answer
    results = _driver().CUresult
    if code == results.CUDA_ERROR_OUT_OF_MEMORY:
        raise OutOfMemory("the GPU is out of memory")
    if code != results.CUDA_SUCCESS:
        raise EngineFailure(f"CUDA: {code.name}")
    return tuple(rest)


def _clear(memory: _Memory, stream: Any) -> None:
    _done(_driver().cuMemsetD8Async(memory.address, 0, memory.nbytes, stream.handle))


def _copy(target: int, source: int, nbytes: int, stream: Any) -> None:
    """Copy between any two addresses, of the host or the GPU, in the stream's order."""
    _done(_driver().cuMemcpyAsync(target, source, nbytes, stream.handle))


def _free() -> int:
    """Bytes of the GPU that nobody holds."""
    return int(_done(_driver().cuMemGetInfo())[0])


def _needed(setup: Setup) -> int:
    """Bytes of the GPU that a sweep takes: rounds, their tiles, a chunk and what a plan adds."""
    item = parse(setup.case_id).precision.bits_dtype.itemsize
    tile = 8 + 8 + DOUBTS * DOUBT.itemsize
    rounds = 2 * (setup.round * item + setup.round // LEAF * tile)
    return rounds + 2 * setup.chunk * item + _BESIDE


@cache
def _kernels(precision: Precision, arch: str) -> dict[str, Any]:
    """The kernels of comparison.cu, compiled for this GPU."""
    from cuda.core import Program, ProgramOptions

    options = ProgramOptions(
        std="c++17", arch=f"sm_{arch}", fma=False, define_macro=list(macros(precision).items())
    )
    program = Program(SOURCE.read_text(encoding="utf-8"), "c++", options)
    compiled = program.compile("cubin")
    return {name: compiled.get_kernel(name) for name in ("generate", "compare", "pick", "oracle")}


_open: dict[str, _Sweep] = {}  # one at most: it holds most of the GPU's memory


def _planned(setup: Setup) -> tuple[Any, bytes]:
    """The engine, and its plan as bytes: built, or one that is kept."""

    def build() -> bytes:
        return bytes(execution.build(setup.recipe)[0].serialize())

    if not setup.plans:
        engine = execution.build(setup.recipe)[0]
        return engine, bytes(engine.serialize())
    import tensorrt
    from polygraphy.backend.trt import EngineFromBytes
    from polygraphy.exception import PolygraphyException

    found = gpu()
    key = setup.recipe.key(tensorrt.__version__, found if isinstance(found, str) else found.name)
    if setup.library is not None:
        key = hashlib.sha256(key.encode() + setup.library.path.read_bytes()).hexdigest()
    plan = shared(Path(setup.plans), key, build)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return EngineFromBytes(plan)(), plan
    except PolygraphyException as error:
        path, words = path_of(Path(setup.plans), key), f"{error} {said.getvalue()}"
        raise unread(path, tensorrt.__version__, words, short=_short(setup)) from None


def unread(path: Path, version: str, words: str, *, short: bool) -> Exception:
    """What to raise where TensorRT does not read a kept plan and says ``words``.

    ``short``: whether the GPU has too little memory now, of which its words need not tell.
    """
    if short or _NO_MEMORY.search(words):
        return OutOfMemory("the GPU is out of memory")
    return InputError(f"{path}: no plan that TensorRT {version} can read here; delete it")


def prepare(setup: Setup) -> Ready:
    """Build the plan, compile the kernels, allocate, and run one chunk.

    Raises OutOfMemory, Refused in TensorRT's words, EngineFailure, NotLoaded, and InputError for
    a kept plan.
    """
    close()
    try:
        _open["sweep"] = _Sweep(setup)
    except (OutOfMemory, InputError):
        raise
    except Exception as error:  # by cuda-core, TensorRT and Polygraphy, each with its own class
        # Short of memory they also fail in ways that don't tell.
        if _NO_MEMORY.search(str(error)) or _short(setup):
            raise OutOfMemory("the GPU is out of memory") from None
        raise
    return _open["sweep"].ready


def _short(setup: Setup) -> bool:
    """Whether the GPU has less memory left than a sweep takes; False where it doesn't answer."""
    try:
        return _free() < _needed(setup)
    except Exception:  # also an ImportError, which is then what failed
        return False


def start(span: Span) -> None:
    """Sweep a span of what is prepared."""
    _open["sweep"].start(span)


def next_part() -> Part | None:
    """The next part of it, None after the last. Raises EngineFailure."""
    return _open["sweep"].next_part()


def busy() -> dict[str, float]:
    """Seconds of the last sweep that the GPU was busy (``plan``: with the plan), and the host."""
    return dict(_open["sweep"].busy)


def settled() -> dict[str, int]:
    """Elements of the last sweep that the host computed the error of, by the reason."""
    return dict(_open["sweep"].settled)


def oracle(first: int, count: int) -> Array:
    """Mish of consecutive bit patterns as the GPU computes it, float64."""
    return _open["sweep"].oracle(first, count)


def plan() -> bytes:
    """The plan that is prepared, serialized."""
    return _open["sweep"].plan()


def close() -> None:
    """Free what is held on the GPU."""
    for sweep in _open.values():
        sweep.close()
    _open.clear()
