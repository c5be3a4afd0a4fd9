"""Memory: what a plugin must leave alone, and the workspace that it asks for."""

from __future__ import annotations

import math

import numpy as np

from verify.plumbing.bench import LONGEST, Bench, Context, Ran
from verify.plumbing.check import Broken, Tally
from verify.plumbing.tensor import FORMATS, LINEAR, Bits, guard_fault, pack, value_fault

__all__ = ["bounds", "input_kept", "workspace"]

_COUNTS = (1, 3, 257, 4096, 65537, (1 << 20) + 5)
_IMAGE = (2, 5, 3, 7)


def input_kept(bench: Bench, tally: Tally) -> None:
    """The input and what is around it are as before."""
    for precision in bench.subject.precisions:
        for where, ran, x in _runs(bench, precision):
            now = ran.x.inside.view(ran.kind.bits)
            changed = int(np.count_nonzero(now != x))
            fault = f"{changed} elements of the input were changed" if changed else ""
            tally.expect(where, fault or guard_fault("input", ran.x, ran.kind.word))


def bounds(bench: Bench, tally: Tally) -> None:
    """Nothing is written before or after the output."""
    for precision in bench.subject.precisions:
        for where, ran, _ in _runs(bench, precision):
            tally.expect(where, guard_fault("output", ran.y, ran.kind.word))


def workspace(bench: Bench, tally: Tally) -> None:
    """Only what was asked for is used, at the profile's largest shape too, and is used anew."""
    stream = bench.device.stream
    for precision in bench.subject.precisions:
        for count in (4096, LONGEST if not bench.subject.static else 100_000):
            plan, shape = bench.vector(precision, count)
            engine = plan.engine
            size = int(getattr(engine, "device_memory_size_v2", None) or engine.device_memory_size)
            with bench.device.memory(size) as space:
                word = 0x5AA55AA5
                x, due = bench.pair(precision, count)
                context = Context(bench, engine, space)
                # Between two calls that memory is anybody's.
                for run in (1, 2):
                    space.poison(word, stream)
                    stream.sync()
                    ran = bench.run(plan, x, shape, context=context)
                    where = f"{precision}, {count} elements, {size} bytes, run {run}"
                    tally.expect(where, guard_fault("workspace", space.region(stream), word))
                    tally.expect(where, value_fault(ran.bits, due, plan.kind))


def _runs(bench: Bench, precision: str) -> list[tuple[str, Ran, Bits]]:
    """Runs of many lengths and of every format that is accepted."""
    found = []
    for count in _COUNTS:
        plan, shape = bench.vector(precision, count)
        x = bench.pair(precision, count)[0]
        found.append((f"{precision}, {count} elements", bench.run(plan, x, shape), x))
    for layout in FORMATS[precision]:
        shape = _IMAGE if layout.axis == 3 else (1, *_IMAGE)
        accepted = None if layout is LINEAR else bench.claimed(precision, shape, layout)
        if accepted is not None:
            x = pack(bench.pair(precision, math.prod(shape))[0].reshape(shape), layout)
            found.append((f"{precision} {layout.name} {shape}", bench.run(accepted, x), x))
    if not found:
        raise Broken("nothing was run")
    return found
