"""``python -m verify.attached PARENT CORES …``: ``python -m verify …`` that ends with it.

PARENT is its process id; CORES, separated by commas, are those to run on: the gate starts as
many processes as it has cores for.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

__all__ = ["main", "with_us"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)  # loaded before any fork


def with_us() -> None:
    """Have the calling process killed when the thread that started it ends, however that ends.

    For ``preexec_fn``.
    """
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Set this process up, then be ``python -m verify``."""
    parent, cores = int(sys.argv[1]), {int(core) for core in sys.argv[2].split(",")}
    if sys.platform == "linux":
        with_us()
        os.sched_setaffinity(0, cores)
    if os.getppid() != parent:  # it died before it was watched
        return
    sys.argv = ["verify", *sys.argv[3:]]
    runpy.run_module("verify", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
