"""Streams: the plugin's work belongs on the one that it is given, also when that is captured."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from verify.plumbing.bench import Bench, Context
from verify.plumbing.check import Broken, Tally
from verify.plumbing.device import CudaError, Graph
from verify.plumbing.tensor import value_fault

__all__ = ["capture", "stream"]

_COUNT = 100_003
_BULK = 256 << 20  # bytes of a copy that only takes time
_COPIES = 100


def stream(bench: Bench, tally: Tally) -> None:
    """On a non-blocking stream, behind long work that ends with the copy that makes the input.

    A copy from the host would not do: it waits for the stream. The output is copied on the stream
    right behind the plugin, too, as a layer of the network would read it.
    """
    device = bench.device
    bulk = min(_BULK, device.room() // 8)
    for precision in bench.subject.precisions:
        plan, shape = bench.vector(precision, _COUNT)
        context, stream = Context(bench, plan.engine), device.new_stream()
        x, due = bench.pair(precision, _COUNT)
        size = x.nbytes
        with (
            device.memory(bulk) as one,
            device.memory(bulk) as other,
            device.memory(size) as made,
            device.memory(size) as source,
            device.memory(size) as target,
            device.memory(size) as taken,
        ):
            made.put(x, stream)
            for attempt in range(3):
                source.poison(0, stream)
                target.poison(plan.kind.word, stream)
                taken.poison(plan.kind.word, stream)
                context.bind(shape, x=source.address, y=target.address)
                if attempt == 0:  # the first run of a shape prepares what later ones need not
                    context.enqueue(stream)
                    target.poison(plan.kind.word, stream)
                device.sync()
                for _ in range(_COPIES):
                    other.take(one, stream)
                source.take(made, stream)
                context.enqueue(stream)
                taken.take(target, stream)
                actual = taken.get(stream).view(plan.kind.bits)
                fault = value_fault(actual, due, plan.kind)
                fault = (
                    fault
                    and f"the plugin did not wait for its input, or was not waited for: {fault}"
                )
                tally.expect(f"{precision}, run {attempt + 1}", fault)
                device.sync()


def capture(bench: Bench, tally: Tally) -> None:
    """Captured in global mode, on a blocking and on a non-blocking stream.

    The output is poisoned and the input changed after the capture: what was not captured is not
    replayed.
    """
    device = bench.device
    for precision in bench.subject.precisions:
        for blocking in (True, False):
            plan, shape = bench.vector(precision, _COUNT)
            context, stream = Context(bench, plan.engine), device.new_stream(blocking=blocking)
            x, due = bench.pair(precision, _COUNT)
            where = f"{precision}, {'' if blocking else 'non-'}blocking stream"
            with device.memory(x.nbytes) as source, device.memory(x.nbytes) as target:
                source.put(np.roll(x, 7), stream)
                context.bind(shape, x=source.address, y=target.address)
                context.enqueue(stream)
                device.sync()
                graph = Graph(stream)
                try:
                    with _no_collection(), graph:
                        context.enqueue(stream)
                except (Broken, CudaError) as error:
                    tally.expect(where, f"the capture fails: {error}")
                    continue
                try:
                    source.put(x, stream)
                    for launch in (1, 2):
                        target.poison(plan.kind.word, stream)
                        device.sync()
                        graph.launch()
                        actual = target.get(stream).view(plan.kind.bits)
                        fault = value_fault(actual, due, plan.kind)
                        tally.expect(f"{where}, replay {launch}", fault)
                finally:
                    graph.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing is freed meanwhile: in global mode that is an error of the capture."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
