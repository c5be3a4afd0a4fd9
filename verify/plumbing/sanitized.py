"""What compute-sanitizer watches: runs of every kind in memory without guards around it."""

from __future__ import annotations

import math

from verify.plumbing.bench import Bench, Context
from verify.plumbing.check import Tally
from verify.plumbing.tensor import FORMATS, LINEAR, pack, value_fault

__all__ = ["watched"]

_COUNTS = (1, 3, 31, 257, 4096, 65537)


def watched(bench: Bench, tally: Tally) -> None:
    """Run lengths and formats in memory that ends where the tensor does.

    A read or a write beyond it is an error to the sanitizer, which ends the process with an exit
    code of its own.
    """
    stream, device = bench.device.stream, bench.device
    for precision in bench.subject.precisions:
        work = []
        for count in _COUNTS:
            plan, shape = bench.vector(precision, count)
            work.append((f"{count} elements", plan, shape, *bench.pair(precision, count)))
        for layout in FORMATS[precision]:
            image = (2, 5, 3, 7) if layout.axis == 3 else (1, 2, 5, 3, 7)
            taken = None if layout is LINEAR else bench.claimed(precision, image, layout)
            if taken is not None:
                x, due = (
                    pack(bits.reshape(image), layout)
                    for bits in bench.pair(precision, math.prod(image))
                )
                work.append((layout.name, taken, None, x, due))
        for where, plan, shape, x, due in work:
            context = Context(bench, plan.engine)
            with (
                device.memory(x.nbytes, guard=0) as source,
                device.memory(due.nbytes, guard=0) as target,
            ):
                source.put(x, stream)
                context.bind(shape, x=source.address, y=target.address)
                context.enqueue(stream)
                actual = target.get(stream).view(plan.kind.bits)
                fault = value_fault(actual, due, plan.kind)
                tally.expect(f"{precision}, {where}", fault)
