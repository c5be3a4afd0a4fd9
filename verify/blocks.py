"""Run an array function block by block on every core, so that temporaries stay in cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from verify.precision import Array

__all__ = ["BLOCK", "cores", "in_blocks"]

BLOCK = 1 << 15  # elements; a handful of float64 temporaries of this size fit a core's L2 cache


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="blocks")


def in_blocks(function: Callable[..., Any], *arrays: Array) -> list[Any]:
    """Call ``function(start, *slices)`` on each block of equally long flat arrays.

    ``start`` is the block's first index; the results come back in order.

    NumPy releases the interpreter lock inside its loops, so threads are enough. The block
    boundaries depend on the length alone, so results do not depend on the number of cores.
    """
    length = len(arrays[0])
    starts = range(0, length, BLOCK)
    if len(starts) <= 4:
        return [function(s, *(a[s : s + BLOCK] for a in arrays)) for s in starts]

    def some(first: int) -> list[Any]:
        return [
            function(s, *(a[s : s + BLOCK] for a in arrays)) for s in starts[first : first + stride]
        ]

    stride = 16
    chunks = _pool().map(some, range(0, len(starts), stride))
    return [result for chunk in chunks for result in chunk]
