"""Ctrl-C that can't get lost in a library that catches every exception."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["noticed"]


@contextmanager
def noticed() -> Iterator[Callable[[], None]]:
    """Raise KeyboardInterrupt at Ctrl-C, and again at the next call of what is yielded.

    Code in between that swallows the first one (a bare ``except`` in a library, a finalizer)
    only delays the end until then. For the main thread.
    """
    pressed = False

    def press(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
