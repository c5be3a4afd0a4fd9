"""How the inputs of a precision are divided: units, and shards of whole units."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from verify.errors import InputError
from verify.precision import Array, Precision

__all__ = ["Span", "inputs", "shard", "unit_size", "whole"]

# Inputs of a unit: what is executed, digested and kept at a time. fp32's is a compromise of
# memory (a dozen float64 arrays of it) and calls; 16 bits are divided too, so that they shard.
_UNIT = {32: 1 << 22, 16: 1 << 10}


def unit_size(precision: Precision) -> int:
    """Inputs of a unit: 2**22 of fp32, 2**10 of fp16 and bf16."""
    return _UNIT[precision.total_bits]


@dataclass(frozen=True)
class Span:
    """The units ``first`` <= unit < ``end`` of a precision, in the order of the bit patterns."""

    precision: Precision
    first: int
    end: int

    @property
    def units(self) -> int:
        """Number of units."""
        return self.end - self.first

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.units * unit_size(self.precision)


def whole(precision: Precision) -> Span:
    """Every input: 1024 units of fp32, 64 of fp16 and bf16."""
    return Span(precision, 0, (1 << precision.total_bits) // unit_size(precision))


def inputs(span: Span, unit: int) -> Array:
    """The inputs of a unit, flat, in the order of their bit patterns."""
    size = unit_size(span.precision)
    bits = np.arange(unit * size, (unit + 1) * size, dtype=np.uint32)
    return span.precision.from_bits(bits.astype(span.precision.bits_dtype, copy=False))


def shard(text: str, precision: Precision) -> Span:
    """The span of shard ``I/N``, counted from 1; together N shards are all inputs.

    Raises InputError for anything but two numbers with 1 <= I <= N <= the number of units.
    """
    units = whole(precision).units
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match:
        raise InputError(f"--shard {text!r}: expected I/N, such as 1/4")
    number, count = int(match[1]), int(match[2])
    if not 1 <= count <= units:
        raise InputError(f"--shard {text}: {precision.name} divides into 1 to {units} shards")
    if not 1 <= number <= count:
        raise InputError(f"--shard {text}: I counts from 1 to {count}")
    return Span(precision, (number - 1) * units // count, number * units // count)
