from __future__ import annotations

import os
import signal

import pytest

from verify.interrupt import noticed


def careless() -> None:
    """What a library does that catches everything."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        return
    raise AssertionError("the interrupt was not raised")


def test_a_swallowed_interrupt_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    with noticed() as check:
        check()
        careless()

        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is before
