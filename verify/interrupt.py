"""Ctrl-C that ends a command once: not lost in a library that catches everything, not doubled."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["check", "install", "pressed", "starting"]

_PRESSED: list[bool] = []


def starting() -> None:
    """Leave at once, in one line, at Ctrl-C, until `install`. For the main thread.

    Nothing is under way yet, and an import that is broken off would have a traceback of its own.
    After `install`, Ctrl-C within a finalizer or a callback is left to `check`, untold.
    """
    signal.signal(signal.SIGINT, _leave)
    sys.unraisablehook = _swallowed


def install() -> None:
    """Raise KeyboardInterrupt at the first Ctrl-C and ignore the others. For the main thread.

    What is finished is being kept by then, and a second one would only spoil that.
    """
    _PRESSED.clear()
    signal.signal(signal.SIGINT, _press)


def pressed() -> bool:
    """Whether Ctrl-C was pressed since `install`."""
    return bool(_PRESSED)


def check() -> None:
    """Raise KeyboardInterrupt again if Ctrl-C was pressed.

    Code that swallowed the first one (a bare ``except`` in a library, a finalizer) only delays
    the end until the next call.
    """
    if _PRESSED:
        raise KeyboardInterrupt


def _leave(_signal: int, _frame: FrameType | None) -> None:
    try:
        # Below Python's own streams, which may be in the middle of anything.
        os.write(2, b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n")
    finally:
        os._exit(130)


def _swallowed(unraisable: sys.UnraisableHookArgs) -> None:
    if not (pressed() and issubclass(unraisable.exc_type, KeyboardInterrupt)):
        sys.__unraisablehook__(unraisable)


def _press(_signal: int, _frame: FrameType | None) -> None:
    _PRESSED.append(True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
