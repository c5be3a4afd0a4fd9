from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


def _after(code: str) -> subprocess.CompletedProcess[str]:
    """A process that starts as the command line does, then executes ``code``."""
    code = f"import os, signal\nfrom verify import interrupt\ninterrupt.starting()\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_before_anything_is_under_way_it_is_one_line() -> None:
    done = _after("os.kill(os.getpid(), signal.SIGINT)\nprint('not reached')")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


FINALIZER = """
class Finalized:
    def __del__(self):
        {what}
interrupt.install()
Finalized()
try:
    interrupt.check()
except KeyboardInterrupt:
    print("raised again")
"""


def test_one_within_a_finalizer_is_raised_again_and_not_told_twice() -> None:
    done = _after(FINALIZER.format(what="os.kill(os.getpid(), signal.SIGINT)"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "raised again\n", "")


def test_another_fault_of_a_finalizer_is_still_told() -> None:
    done = _after(FINALIZER.format(what="1 / 0"))
    assert done.stdout == ""
    assert "ZeroDivisionError" in done.stderr
