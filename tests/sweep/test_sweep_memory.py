"""Where a GPU has little memory, chunks are made smaller, in a new process each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from verify.cases import parse
from verify.engines import EngineFailure
from verify.engines.tensorrt import Tensorrt
from verify.engines.version import Strategy, strategy
from verify.errors import InputError
from verify.run import model_of
from verify.sample_observation import no_limits
from verify.sweep import device as devices
from verify.sweep import gpu
from verify.sweep.device import Device
from verify.sweep.gpu import OutOfMemory, Ready, Setup, unread

CASE = parse("composed-alone-fp32-tensorrt")


class Small(Tensorrt):
    """A runner on a GPU that rounds of at most ``room`` inputs fit on; it runs nothing."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.tried: list[tuple[int, int]] = []
        self.closed = 0

    @property
    def strategy(self) -> Strategy:
        return strategy("8.6.0")

    def call(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
        assert function is gpu.prepare
        (setup,) = arguments
        assert isinstance(setup, Setup)
        assert setup.recipe.shape == (setup.chunk,)
        assert self.closed == len(self.tried)  # what a failure left on the GPU is given back
        self.tried.append((setup.chunk, setup.round))
        if setup.round > self.room:
            raise OutOfMemory("the GPU is out of memory")
        return Ready(plan="", information="", copy_seconds=1.0)

    def close(self) -> None:
        self.closed += 1


def test_the_largest_chunks_that_fit_are_taken() -> None:
    sizes = devices.sizes(CASE.precision)
    for number, (chunk, size) in enumerate(sizes):
        runner = Small(size)
        device = Device(runner, CASE, model_of(CASE), no_limits("alone"))
        assert (device.chunk, device.round) == (chunk, size)
        assert tuple(runner.tried) == sizes[: number + 1]


def test_no_memory_at_all_is_told_in_one_line() -> None:
    runner = Small(0)
    with pytest.raises(EngineFailure, match="for the smallest chunks too"):
        Device(runner, CASE, model_of(CASE), no_limits("alone"))
    assert tuple(runner.tried) == devices.sizes(CASE.precision)


@pytest.mark.parametrize(
    ("words", "short", "kind"),
    [
        ("Could not deserialize engine. See log for details.", True, OutOfMemory),
        (
            "[E] 2: OutOfMemory (no further information)",
            False,
            OutOfMemory,
        ),
        (
            "[E] 1: Serialization assertion magicTagRead failed",
            False,
            InputError,
        ),
    ],
)
def test_a_kept_plan_is_not_blamed_for_a_full_gpu(
    words: str, short: bool, kind: type[Exception]
) -> None:
    error = unread(Path("plans/key.plan"), "8.6.0", words, short=short)
    assert isinstance(error, kind)
    if kind is InputError:
        assert str(error).startswith("plans/key.plan: no plan that TensorRT 8.6.0 can read here")


def test_another_failure_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Small(1 << 32)

    def refused(*_: Any) -> Any:
        raise EngineFailure("refused")

    monkeypatch.setattr(runner, "call", refused)
    with pytest.raises(EngineFailure, match="refused"):
        Device(runner, CASE, model_of(CASE), no_limits("alone"))
    assert runner.closed == 0
