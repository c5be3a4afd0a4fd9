"""Start the gate's processes while the gate itself is still imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

from verify.engines import execution
from verify.engines.nvidia import gpu
from verify.engines.worker import Ahead
from verify.plumbing import worker as inside
from verify.plumbing.process import groups

__all__ = ["started"]

_READERS = 2  # checks that read a plan in a process of their own: `reload` and `errors`


def started(checks: Sequence[str]) -> Ahead:
    """The processes that a gate with these ``--check`` options needs in any case.

    None where there is no GPU or no TensorRT, and only that of the cases where checks are chosen.
    """
    if isinstance(gpu(), str) or importlib.util.find_spec("tensorrt") is None:
        return Ahead()
    functions: list[Callable[[], object]] = [execution.start]
    if not checks:
        functions += [inside.start] * groups() + [inside.start_reading] * _READERS
    return Ahead(functions)
