"""Poisoned and guarded outputs, with host memory in the place of the GPU's."""

from __future__ import annotations

import ctypes
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from verify.engines.poison import GUARD, Region, fault, words
from verify.precision import PRECISIONS, Precision

Outputs = Callable[[Precision], Any]


class HostMemory:
    """What Polygraphy's CUDA wrapper does, done with host memory; streams are not needed."""

    def __init__(self) -> None:
        self.blocks: dict[int, Any] = {}

    def malloc(self, nbytes: int) -> int:
        block = ctypes.create_string_buffer(max(nbytes, 1))
        address = ctypes.addressof(block)
        self.blocks[address] = block
        return address

    def free(self, address: int) -> None:
        self.blocks.pop(address, None)

    def memcpy(
        self, dst: int, src: int, nbytes: int, kind: object, stream_ptr: object = None
    ) -> None:
        ctypes.memmove(dst, src, nbytes)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outputs]:
    """GuardedOutputs over host memory, under a stand-in for TensorRT's base class."""
    from polygraphy.cuda import cuda as wrapped

    memory = HostMemory()
    monkeypatch.setattr(wrapped, "wrapper", lambda: memory)
    monkeypatch.setattr("polygraphy.cuda.wrapper", lambda: memory)
    stand_in = types.ModuleType("tensorrt")
    stand_in.IOutputAllocator = type("IOutputAllocator", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in)
    monkeypatch.delitem(sys.modules, "verify.engines.guarded", raising=False)
    guarded = importlib.import_module("verify.engines.guarded")
    stream = types.SimpleNamespace(ptr=0)
    yield lambda precision: guarded.GuardedOutputs(stream, precision)
    sys.modules.pop("verify.engines.guarded", None)


def poke(address: int, data: np.ndarray[Any, Any]) -> None:
    ctypes.memmove(address, data.ctypes.data, data.nbytes)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_the_poison_is_a_signalling_nan_of_the_precision(precision: Precision) -> None:
    value = words(4, precision).view(precision.dtype)
    assert np.isnan(value.astype(np.float32)).all()
    quiet = 1 << (precision.significand_bits - 2)
    assert not (precision.to_bits(value) & quiet).any()


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
@pytest.mark.parametrize("count", [1, 3, 4101, 600_000])
def test_a_complete_output_has_no_fault(outputs: Outputs, precision: Precision, count: int) -> None:
    made = outputs(precision)
    x = np.zeros(count, dtype=precision.dtype)
    for value in (1.0, 2.0):  # the second time the memory is known already
        made.begin()
        address = made.reallocate_output("y", 0, x.nbytes, 256)
        assert address % 2 == 0
        poke(address, np.full(count, value, dtype=precision.dtype))
        region = made.region("y", x.nbytes)
        assert fault("y", region, x, precision) == ""
        assert (region.inside.view(precision.dtype) == value).all()
    made.free()


def test_what_was_not_written_is_seen_also_in_memory_that_was_used_before(
    outputs: Outputs,
) -> None:
    precision = PRECISIONS[0]
    made = outputs(precision)
    x = np.zeros(4101, dtype=np.float32)
    for _ in range(2):
        made.begin()
        address = made.reallocate_output_async("y", 0, x.nbytes, 256, 0)
        poke(address, np.ones(4096, dtype=np.float32))
        told = fault("y", made.region("y", x.nbytes), x, precision)
        assert told == "5 of 4101 elements of output y were not written, the first at 4096"
        poke(address, np.ones(4101, dtype=np.float32))


def test_memory_that_tensorrt_did_not_ask_for_again_is_poisoned_too(outputs: Outputs) -> None:
    made = outputs(PRECISIONS[0])
    made.begin()
    address = made.reallocate_output("y", 0, 64, 256)
    poke(address, np.ones(16, dtype=np.float32))
    made.begin()
    x = np.zeros(16, dtype=np.float32)
    assert "16 of 16" in fault("y", made.region("y", 64), x, PRECISIONS[0])


@pytest.mark.parametrize(
    ("offset", "words_told"),
    [
        (16, "4 bytes after output y were written, up to 4 away"),
        (1000, "4 bytes after output y were written, up to 3940 away"),
        (-1, "4 bytes before output y were written, up to 4 away"),
    ],
)
def test_what_was_written_beside_is_seen(outputs: Outputs, offset: int, words_told: str) -> None:
    made = outputs(PRECISIONS[0])
    made.begin()
    address = made.reallocate_output("y", 0, 64, 256)
    poke(address, np.ones(16, dtype=np.float32))
    poke(address + 4 * offset, np.ones(1, dtype=np.float32))
    x = np.zeros(16, dtype=np.float32)
    assert fault("y", made.region("y", 64), x, PRECISIONS[0]) == words_told


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_an_input_with_the_poisons_bits_may_come_out_as_it_is(precision: Precision) -> None:
    x = words(4, precision).view(precision.dtype)
    guard = words(GUARD, precision)
    region = Region(guard, words(4, precision), guard)
    assert fault("y", region, x, precision) == ""
    assert "were not written" in fault("y", region, np.zeros_like(x), precision)


def test_an_empty_output_may_have_no_memory_at_all(outputs: Outputs) -> None:
    made = outputs(PRECISIONS[1])
    made.begin()
    x = np.zeros(0, dtype=np.float16)
    region = made.region("y", 0)
    assert fault("y", region, x, PRECISIONS[1]) == ""
    assert region.inside.size == 0
