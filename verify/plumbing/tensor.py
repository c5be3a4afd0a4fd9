"""Tensors as bits: types, layouts in memory, poison, and how a wrong one is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FORMATS",
    "GUARD",
    "KINDS",
    "LINEAR",
    "PERIOD",
    "Kind",
    "Layout",
    "Region",
    "extremes",
    "guard_fault",
    "pack",
    "padded",
    "value_fault",
    "values",
]

Bits = NDArray[Any]

GUARD = 4096  # bytes on either side; a multiple of the 256 that TensorRT promises plugins
PERIOD = 65521  # distinct elements of an input: a prime, so that no wrong stride finds its like
_SLACK = 4  # ULP between two ways through one plugin, such as a vector's and a tail's
_FRACTIONS = 16  # of fp32's, at each exponent, for `extremes`


@dataclass(frozen=True)
class Kind:
    """A precision: NumPy type of its bits, bits of its significand field, and its poison.

    The poison is a signalling NaN, which no arithmetic makes.
    """

    name: str
    bits: type[Any]
    fraction: int
    poison: int

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.bits).itemsize

    @property
    def word(self) -> int:
        """The poison as a word of 32 bits."""
        return self.poison if self.size == 4 else self.poison << 16 | self.poison

    def of(self, numbers: NDArray[np.float64]) -> Bits:
        """The bits of float64 numbers; bf16 cuts fp32 off, which is all that inputs need."""
        if self.name == "fp16":
            return np.asarray(numbers.astype(np.float16).view(np.uint16))
        wide = numbers.astype(np.float32).view(np.uint32)
        return np.asarray(wide if self.name == "fp32" else (wide >> 16).astype(np.uint16))

    def number(self, bits: int) -> float:
        """The number of one pattern."""
        if self.name == "fp16":
            return float(np.uint16(bits).view(np.float16))
        return float(np.uint32(bits if self.name == "fp32" else bits << 16).view(np.float32))


KINDS = {
    "fp32": Kind("fp32", np.uint32, 23, 0x7FA57FA5),
    "fp16": Kind("fp16", np.uint16, 10, 0x7DA5),
    "bf16": Kind("bf16", np.uint16, 7, 0x7FA5),
    "int32": Kind("int32", np.uint32, 0, 0x7FA57FA5),
}


@dataclass(frozen=True)
class Layout:
    """A format of TensorRT's: ``vector`` channels together, counted ``axis`` from the end.

    ``last``: a whole padded channel axis lies innermost (HWC8); otherwise blocks of one vector
    each do (CHW32).
    """

    name: str
    vector: int = 1
    axis: int = 3
    last: bool = False


LINEAR = Layout("LINEAR")
_CHW2, _CHW4, _CHW32 = (Layout(f"CHW{n}", n) for n in (2, 4, 32))
_HWC8, _HWC16 = (Layout(f"HWC{n}", n, last=True) for n in (8, 16))
_DHWC8 = Layout("DHWC8", 8, axis=4, last=True)

# What 8.6 offers a plugin by tensor type, and bf16 from 10 on.
FORMATS: dict[str, tuple[Layout, ...]] = {
    "fp32": (LINEAR, _CHW32),
    "fp16": (LINEAR, _CHW2, _CHW4, _HWC8, _HWC16, _DHWC8),
    "bf16": (LINEAR, _CHW2, _HWC8, _DHWC8),
}


def values(kind: Kind) -> Bits:
    """`PERIOD` inputs, mostly between -9 and 9: neighbours differ, and so do their results."""
    numbers = np.random.default_rng(20).normal(scale=3.0, size=PERIOD)
    return kind.of(numbers)


def extremes(kind: Kind) -> Bits:
    """Inputs of every size and kind: all of 16 bits, in fp32 16 for each exponent and sign.

    But -inf, which has two right results, and the poison: 0 stands there instead.
    """
    bits: Bits = np.arange(1 << 16, dtype=np.uint32)
    if kind.size == 4:
        heads = np.arange(1 << 9, dtype=np.uint32) << kind.fraction
        edges = np.array([0, 1, (1 << kind.fraction) - 1])
        others = np.random.default_rng(9).integers(0, 1 << kind.fraction, _FRACTIONS - len(edges))
        bits = (heads[:, None] | np.concatenate([edges, others]).astype(np.uint32)).reshape(-1)
    sign = 1 << (kind.size * 8 - 1)
    top = sign - 1
    left_out = (bits == kind.poison) | (bits == (sign | (top >> kind.fraction << kind.fraction)))
    return np.asarray(np.where(left_out, 0, bits).astype(kind.bits))


def padded(shape: tuple[int, ...], layout: Layout) -> int:
    """Elements in memory of a tensor of this shape."""
    if layout.vector == 1:
        return math.prod(shape)
    axis = len(shape) - layout.axis
    channels = -(-shape[axis] // layout.vector) * layout.vector
    return math.prod(shape[:axis]) * channels * math.prod(shape[axis + 1 :])


def pack(tensor: Bits, layout: Layout) -> Bits:
    """The tensor's memory, flat, with padding of zeros."""
    if layout.vector == 1:
        return np.ascontiguousarray(tensor).reshape(-1)
    axis, vector = tensor.ndim - layout.axis, layout.vector
    more = -tensor.shape[axis] % vector
    wide = np.pad(tensor, [(0, more if i == axis else 0) for i in range(tensor.ndim)])
    if layout.last:
        return np.ascontiguousarray(np.moveaxis(wide, axis, -1)).reshape(-1)
    shape = wide.shape
    blocks = wide.reshape(*shape[:axis], shape[axis] // vector, vector, *shape[axis + 1 :])
    return np.ascontiguousarray(np.moveaxis(blocks, axis + 1, -1)).reshape(-1)


@dataclass(frozen=True)
class Region:
    """Memory after a run, as bytes: the guards, and what is between them."""

    before: NDArray[np.uint8]
    inside: NDArray[np.uint8]
    after: NDArray[np.uint8]


def guard_fault(what: str, region: Region, word: int) -> str:
    """What was written beside a tensor; empty if nothing was."""
    for side, memory in (("before", region.before), ("after", region.after)):
        # The pattern begins with the memory that the guard is cut from.
        start = 0 if side == "before" else len(region.before) + len(region.inside)
        whole = np.full(len(memory) // 4 + 2, word, dtype=np.uint32).view(np.uint8)
        touched = np.flatnonzero(memory != whole[start % 4 : start % 4 + len(memory)])
        if len(touched):
            far = int(touched[-1]) + 1 if side == "after" else len(memory) - int(touched[0])
            return f"{len(touched)} bytes {side} the {what} were written, up to {far} away"
    return ""


def value_fault(
    actual: Bits, expected: Bits, kind: Kind, *, exact: bool = False, slack: int = _SLACK
) -> str:
    """How a result differs from the one that is due; empty if it does not.

    ``exact`` compares bits; otherwise ``slack`` ULP are allowed, both zeros are one, and so are
    all NaNs.
    """
    if actual.size != expected.size:
        return f"{actual.size} elements instead of {expected.size}"
    left = np.flatnonzero((actual == kind.poison) & (expected != kind.poison))
    if len(left):
        return f"{len(left)} of {actual.size} elements were not written, the first at {left[0]}"
    wrong = actual != expected
    if wrong.any() and not exact:
        at = np.flatnonzero(wrong)
        a, b = actual[at], expected[at]
        far = np.abs(_ordered(a, kind) - _ordered(b, kind)) > slack
        wrong[at] = far & ~(_is_nan(a, kind) & _is_nan(b, kind))
    found = np.flatnonzero(wrong)
    if not len(found):
        return ""
    i = int(found[0])
    got, due = (kind.number(int(array.reshape(-1)[i])) for array in (actual, expected))
    return (
        f"{len(found)} of {actual.size} elements differ, the first at {i}: "
        f"{got:.9g} instead of {due:.9g}"
    )


def _ordered(bits: Bits, kind: Kind) -> NDArray[np.int64]:
    """Integers in the order of the numbers, a step for each ULP; both zeros are 0."""
    top = 1 << (kind.size * 8 - 1)
    wide = bits.astype(np.int64)
    return np.where(wide & top, -(wide & (top - 1)), wide)


def _is_nan(bits: Bits, kind: Kind) -> NDArray[np.bool_]:
    top = (1 << (kind.size * 8 - 1)) - 1
    infinity = top >> kind.fraction << kind.fraction
    return np.asarray((bits.astype(np.int64) & top) > infinity)
