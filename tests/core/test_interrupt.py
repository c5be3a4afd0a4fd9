from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from verify import interrupt


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def careless() -> None:
    """What a library does that catches everything."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        return
    raise AssertionError("the interrupt was not raised")


def test_a_swallowed_interrupt_comes_back() -> None:
    interrupt.install()
    interrupt.check()
    assert not interrupt.pressed()
    careless()
    assert interrupt.pressed()
    with pytest.raises(KeyboardInterrupt):
        interrupt.check()


def test_a_second_one_does_not_spoil_what_is_being_kept() -> None:
    interrupt.install()
    careless()
    os.kill(os.getpid(), signal.SIGINT)
    interrupt.install()
    interrupt.check()
