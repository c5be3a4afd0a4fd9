"""The bits that memory holds before a plan writes it, and what they tell afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.precision import Array, Precision

__all__ = ["GUARD", "Region", "fault", "words"]

GUARD = 4096  # bytes on either side; a multiple of the alignment that TensorRT promises plugins

# A signalling NaN in its own precision: no arithmetic ever makes one, only a copy of an input.
_PATTERNS = {"fp32": 0x7FA57FA5, "fp16": 0x7DA5, "bf16": 0x7FA5}


@dataclass(frozen=True)
class Region:
    """An output's memory after a run, as bytes: the guards and what is between them."""

    before: Array
    inside: Array
    after: Array


def words(nbytes: int, precision: Precision) -> Array:
    """``nbytes`` (a multiple of 4) of poison, as uint8."""
    count = nbytes // precision.bits_dtype.itemsize
    pattern = np.full(count, _PATTERNS[precision.name], dtype=precision.bits_dtype)
    return np.asarray(pattern.view(np.uint8))


def fault(name: str, region: Region, x: Array, precision: Precision) -> str:
    """What was wrongly written or not written, in one line; empty if all is well.

    ``x`` is what the plan was fed: an output may hold the poison's bits as often as x does, for
    each time that x fits into it.
    """
    pattern = _PATTERNS[precision.name]
    for side, memory in (("before", region.before), ("after", region.after)):
        poison = words(len(memory) // 4 * 4 + 4, precision)[: len(memory)]
        touched = np.flatnonzero(memory != poison)
        if len(touched):
            far = int(touched[-1]) + 1 if side == "after" else len(memory) - int(touched[0])
            return f"{len(touched)} bytes {side} output {name} were written, up to {far} away"
    bits = region.inside.view(precision.bits_dtype)
    left = np.flatnonzero(bits == pattern)
    given = int(np.count_nonzero(precision.to_bits(x) == pattern))
    if len(left) > given * max(1, bits.size // max(1, x.size)):
        return (
            f"{len(left)} of {bits.size} elements of output {name} were not written, "
            f"the first at {int(left[0])}"
        )
    return ""
