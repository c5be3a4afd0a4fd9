"""Shapes, sizes and places: every rank and length, the largest ones, and changes between runs."""

from __future__ import annotations

import math

import numpy as np

from verify.plumbing.bench import LONGEST, Bench, Context, Plan, Unbuilt
from verify.plumbing.check import Broken, Skipped, Tally
from verify.plumbing.tensor import FORMATS, KINDS, LINEAR, Bits, guard_fault, value_fault

__all__ = ["addresses", "batch", "empty", "huge", "padded", "ranks", "reshape", "sizes"]

_INNER = (3, 2, 5, 1, 2, 3, 2, 2)  # behind the first axis; their products stay small
_WINDOW = 1 << 18  # elements that are compared at a time where not all of them are
_SPARE = 1 << 30  # bytes that are left to others


def ranks(bench: Bench, tally: Tally) -> None:
    """Every rank that the version has, 0 included."""
    for precision in bench.subject.precisions:
        for rank in range(bench.subject.largest_rank + 1):
            shape = (5, *_INNER)[:rank]
            tally.expect(f"{precision}, rank {rank}", _right(bench, precision, shape))


def batch(bench: Bench, tally: Tally) -> None:
    """Batches of 1, 2 and 17, for a vector and for an image each."""
    for precision in bench.subject.precisions:
        for count in (1, 2, 17):
            for shape in ((count, 33), (count, 3, 5, 7)):
                tally.expect(f"{precision} {shape}", _right(bench, precision, shape))


def empty(bench: Bench, tally: Tally) -> None:
    """A tensor without elements is no error, and nothing is written for it."""
    bench.needs_dynamic()
    for precision in bench.subject.precisions:
        for rank in (1, 3):
            inner = _INNER[: rank - 1]
            profile = tuple((count, *inner) for count in (0, 8, 64))
            if rank == 1:  # the plan that there is anyway
                profile = ((0,), (4096,), (LONGEST,))
            plan = bench.plan(precision, (-1, *inner), profile)
            ran = bench.run(plan, np.empty(0, plan.kind.bits), (0, *inner))
            where = f"{precision} {(0, *inner)}"
            tally.expect(where, guard_fault("output", ran.y, plan.kind.word))
            x, due = bench.pair(precision, 8 * math.prod(inner))
            again = bench.run(plan, x, (8, *inner))
            tally.expect(f"{where}, then {(8, *inner)}", value_fault(again.bits, due, plan.kind))


def sizes(bench: Bench, tally: Tally) -> None:
    """Lengths of rank 1 up to 2^24 + 1: one output is due for each element."""
    for precision in bench.subject.precisions:
        counts = _lengths(static=bench.subject.static)
        x, due = bench.pair(precision, counts[-1])
        plan, shape = bench.vector(precision, counts[-1])
        stream, device = bench.device.stream, bench.device
        context = Context(bench, plan.engine)
        size, word = plan.kind.size, plan.kind.word
        with device.memory(counts[-1] * size) as source, device.memory(counts[-1] * size) as target:
            source.put(x, stream)
            for count in counts:
                if bench.subject.static:
                    plan, shape = bench.vector(precision, count)
                    context = Context(bench, plan.engine)
                else:
                    shape = bench.row(precision, count)
                target.poison(word, stream, count * size)
                context.bind(shape, x=source.address, y=target.address)
                context.enqueue(stream)
                actual = target.get(stream, count * size).view(plan.kind.bits)
                fault = value_fault(actual, due[:count], plan.kind)
                tally.expect(f"{precision}, {count} elements", fault)


def huge(bench: Bench, tally: Tally) -> None:
    """Just under 2^31 elements, and beyond where the version allows it."""
    largest = bench.subject.largest
    count = (1 << 31) - 2 if largest is None else min(largest, (1 << 31) - 2)
    for precision in bench.subject.precisions:
        for elements in (count, *(() if largest is not None else ((1 << 31) + 17,))):
            where = f"{precision}, {elements} elements"
            if not _fits(bench, tally, where, elements * KINDS[precision].size):
                continue
            plan = bench.plan(precision, bench.row(precision, elements), direct=True)
            x, due = bench.known(precision)
            tally.expect(where, _large(bench, plan, elements, x, due))
    if not tally.count:
        raise Skipped(tally.notes[0])


def padded(bench: Bench, tally: Tally) -> None:
    """Fewer than 2^31 elements, more with the padding of a vectorized format."""
    asked = []
    for precision in bench.subject.precisions:
        for layout in FORMATS[precision]:
            if layout is LINEAR or layout.axis != 3:
                continue
            # One channel, so that all but one in a vector is padding: 64 rows over 2^31.
            rows = (1 << 31) // (layout.vector * 16384) + 64
            shape = (1, 1, rows, 16384)
            elements = rows * 16384 * layout.vector
            where = f"{precision} {layout.name}, {elements} elements with padding"
            asked.append(layout.name)
            if not _fits(bench, tally, where, elements * KINDS[precision].size):
                continue
            plan = bench.claimed(precision, shape, layout)
            if plan is None:
                if bench.claims(precision, layout, len(shape)):
                    tally.miss(f"{where} is claimed, and TensorRT builds no plan with it")
                continue
            x, due = (_spread(bits, layout.vector) for bits in bench.known(precision))
            tally.expect(where, _large(bench, plan, elements, x, due))
    if not (tally.count or tally.missed):
        none = f"the plugin takes none of {', '.join(dict.fromkeys(asked))}"
        raise Skipped("; ".join(tally.notes) or none)


def reshape(bench: Bench, tally: Tally) -> None:
    """One context at the least, usual and largest shape, and from one to another and back."""
    bench.needs_dynamic()
    for precision in bench.subject.precisions:
        plan = bench.plan(precision, (-1, -1), ((1, 3), (64, 64), (4096, 100)))
        context = Context(bench, plan.engine)
        for shape in ((1, 3), (64, 64), (4096, 100), (64, 64), (1, 3), (4096, 100), (1, 99)):
            x, due = bench.pair(precision, math.prod(shape), shape[0])
            ran = bench.run(plan, x, shape, context=context)
            tally.expect(f"{precision} {shape}", value_fault(ran.bits, due, plan.kind))


def addresses(bench: Bench, tally: Tally) -> None:
    """Input and output elsewhere than in the run before, the shape unchanged."""
    count = 5000
    for precision in bench.subject.precisions:
        plan, shape = bench.vector(precision, count)
        context, stream = Context(bench, plan.engine), bench.device.stream
        nbytes = count * plan.kind.size
        sources = [bench.device.memory(nbytes) for _ in range(3)]
        targets = [bench.device.memory(nbytes) for _ in range(3)]
        try:
            for number, source in enumerate(sources):
                source.put(bench.pair(precision, count, 100 * number)[0], stream)
            context.bind(shape)
            for i, j in ((0, 0), (0, 1), (1, 1), (2, 0), (1, 2), (0, 0)):
                for target in targets:
                    target.poison(plan.kind.word, stream)
                context.bind(x=sources[i].address, y=targets[j].address)
                context.enqueue(stream)
                due = bench.pair(precision, count, 100 * i)[1]
                actual = targets[j].get(stream).view(plan.kind.bits)
                where = f"{precision}, input {i}, output {j}"
                tally.expect(where, value_fault(actual, due, plan.kind))
        finally:
            for memory in (*sources, *targets):
                memory.close()


def _right(bench: Bench, precision: str, shape: tuple[int, ...]) -> str:
    """Build for a shape, dynamic in its first axis where that may be, and run it."""
    x, due = bench.pair(precision, math.prod(shape))
    try:
        if bench.subject.static or not shape:
            ran = bench.run(bench.plan(precision, shape), x)
        else:
            inner = shape[1:]
            profile = tuple((count, *inner) for count in (1, 5, 32))
            ran = bench.run(bench.plan(precision, (-1, *inner), profile), x, shape)
    except Unbuilt as error:
        return f"TensorRT builds no plan: {error}"
    except Broken as error:
        return str(error)
    return value_fault(ran.bits, due, ran.kind)


def _lengths(*, static: bool) -> list[int]:
    """Lengths to try: each costs a plan where shapes are static."""
    found = {2**k + d for k in range(2, 21) for d in (-1, 0, 1)}
    found |= {1, 2, (1 << 24) - 1, 1 << 24, LONGEST}
    if static:
        return sorted(found | {96 * 4 + 1, 132 * 256 + 1, 192 * 8 - 1, 1000})
    found |= set(range(1, 41))
    # Threads of a block by elements of a vector, in thousands of ways; and waves of 132 blocks.
    found |= {block * 8 + d for block in (96, 192, 320, 384, 640, 768) for d in (-1, 0, 1, 4)}
    found |= {132 * block + d for block in (256, 512, 1024) for d in (-1, 1)}
    found |= {int(n) for n in np.random.default_rng(3).integers(1, 1 << 20, 40)}
    return sorted(found)


def _spread(bits: Bits, vector: int) -> Bits:
    """Elements with zeros between them: one channel of a whole vector."""
    spread = np.zeros(bits.size * vector, dtype=bits.dtype)
    spread[::vector] = bits
    return spread


def _fits(bench: Bench, tally: Tally, where: str, nbytes: int) -> bool:
    """Whether the GPU has room for two tensors of ``nbytes``; tells where it has not."""
    needed, room = 2 * nbytes + _SPARE, bench.device.room()
    if room < needed:
        tally.note(f"{where}: {needed >> 20} MiB are needed, {room >> 20} MiB of the GPU are free")
    return room >= needed


def _large(bench: Bench, plan: Plan, elements: int, x: Bits, due: Bits) -> str:
    """Run on a repeated tile and compare where 32-bit counts and places wrap, and at random."""
    nbytes, stream = elements * plan.kind.size, bench.device.stream
    context = Context(bench, plan.engine)
    with bench.device.memory(nbytes) as source, bench.device.memory(nbytes) as target:
        source.repeat(x, stream)
        target.poison(plan.kind.word, stream)
        context.bind(x=source.address, y=target.address)
        context.enqueue(stream)
        size = plan.kind.size
        for start in _windows(elements, size):
            count = min(_WINDOW, elements - start)
            actual = target.get(stream, count * size, start * size).view(plan.kind.bits)
            at = start % due.size
            fault = value_fault(actual, np.resize(np.roll(due, -at), count), plan.kind)
            if fault:
                return f"from element {start} on, {fault}"
    return ""


def _windows(elements: int, size: int) -> list[int]:
    """Where to look: both ends, every place where a count of bytes or elements wraps, elsewhere."""
    last = elements - _WINDOW
    found = {0, last}
    for power in range(28, 34):
        for multiple in range(1, 16):
            at = (multiple << power) // size - _WINDOW // 2
            if 0 < at < last:
                found.add(at)
    found |= {int(n) for n in np.random.default_rng(5).integers(0, last, 64)}
    return sorted(found)
