"""Start the gate's processes while the gate itself is still imported.

Imports nothing that takes time: the processes have all of it before them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

from verify.worker import Ahead

__all__ = ["CASES", "READING", "WHOLE", "groups", "names", "started"]

CASES = "verify.engines.execution:start"  # the process of the cases
WHOLE = "verify.plumbing.worker:start"  # one of a group of checks
READING = "verify.plumbing.worker:start_reading"  # one that only reads a plan

_READERS = 2  # checks that read a plan in a process of their own: `reload` and `errors`


def groups() -> int:
    """How many processes share the checks.

    Each starts TensorRT's builder, which takes 4 GiB in 8.6, and all the longer the more start.
    """
    return max(1, min(2, len(os.sched_getaffinity(0)) // 4))


def names(checks: Sequence[str]) -> list[str]:
    """What is begun in each process that a gate with these ``--check`` options needs in any case.

    Only that of the cases where checks are chosen.
    """
    return [CASES] if checks else [CASES, *[WHOLE] * groups(), *[READING] * _READERS]


def started(checks: Sequence[str]) -> Ahead:
    """The same, begun; none where there is no TensorRT. Without a GPU they end as soon."""
    if importlib.util.find_spec("tensorrt") is None:
        return Ahead()
    return Ahead(names(checks))
