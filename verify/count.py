"""Counts as people read them: in groups of three digits."""

from __future__ import annotations

__all__ = ["coverage", "spaced"]


def spaced(count: int) -> str:
    """For example ``2 287 781``."""
    return f"{count:_}".replace("_", " ")


def coverage(count: int, total: int) -> str:
    """For example ``65 536 of 65 536``."""
    return f"{spaced(count)} of {spaced(total)}"
