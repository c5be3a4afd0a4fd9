"""Reduce a failing array to the fewest elements that still fail."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from verify.precision import Array
from verify.properties.base import Fault

__all__ = ["RUNS", "shrink"]

RUNS = 200  # attempts; an array of 4096 elements with one culprit takes some 30


def shrink(x: Array, fault: Fault, attempt: Callable[[Array], Fault | None]) -> Fault:
    """The fault of the smallest failing part of flat ``x`` that is found, in at most RUNS attempts.

    Delta debugging (Zeller and Hildebrandt 2002) after a try with what the fault itself blames.
    Elements keep their order and values. What is returned did fail when it was last tried.
    """
    best, left = x, RUNS

    def fails(part: Array) -> bool:
        nonlocal best, fault, left
        left -= 1
        found = attempt(part)
        if found is not None:
            best, fault = part, found
        return found is not None

    if 0 < len(fault.hint) < len(x):
        fails(x[fault.hint])
    pieces = 2
    while len(best) > 1 and left > 0:
        current = best
        bounds = np.linspace(0, len(current), min(pieces, len(current)) + 1).astype(int)
        parts = list(pairwise(bounds))
        reduced = False
        if pieces == 2:
            reduced = any(left > 0 and fails(current[a:b]) for a, b in parts)
        else:
            reduced = any(left > 0 and fails(np.delete(current, np.s_[a:b])) for a, b in parts)
        if reduced:
            pieces = max(2, min(pieces - 1, len(best)))
        elif pieces >= len(current):
            break
        else:
            pieces = min(2 * pieces, len(current))
    return fault
