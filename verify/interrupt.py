"""Ctrl-C that ends a command once: not lost in a library that catches everything, not doubled."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["check", "install", "pressed"]

_PRESSED: list[bool] = []


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


def _press(_signal: int, _frame: FrameType | None) -> None:
    _PRESSED.append(True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
