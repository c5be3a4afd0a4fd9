"""What becomes of calls into TensorRT's process; the functions called need no TensorRT."""

from __future__ import annotations

import os
import signal
import time

import pytest

from verify.engines import EngineFailure, RunFailure
from verify.engines.base import Poisoned
from verify.engines.tensorrt import Tensorrt
from verify.worker import Worker


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def poison() -> None:
    raise Poisoned("CUDA error: an illegal memory access")


def no_memory() -> None:
    raise EngineFailure("the GPU is out of memory")


@pytest.fixture
def runner() -> Tensorrt:
    return Tensorrt(worker=Worker())


def test_a_death_is_told_with_its_signal(runner: Tensorrt) -> None:
    with pytest.raises(RunFailure, match=r"TensorRT's process was ended by SIGSEGV"):
        runner.call(20.0, crash)
    assert runner.call(20.0, os.getpid)
    runner.close()


def test_a_process_that_lost_its_device_is_replaced(runner: Tensorrt) -> None:
    first = runner.call(20.0, os.getpid)
    with pytest.raises(EngineFailure, match="out of memory"):
        runner.call(20.0, no_memory)
    assert runner.call(20.0, os.getpid) == first
    with pytest.raises(RunFailure, match="illegal memory access"):
        runner.call(20.0, poison)
    assert runner.call(20.0, os.getpid) != first
    runner.close()


def test_who_hung_once_is_waited_for_a_fifth_of_the_time(runner: Tensorrt) -> None:
    for limit in ("1.5", "0.3"):
        with pytest.raises(RunFailure, match=f"did not answer within {limit} s"):
            runner.call(1.5, time.sleep, 60.0)
    runner.close()
