"""Errors: a launch that fails must be reported, and forgotten again."""

from __future__ import annotations

from verify.plumbing.bench import Bench, Context
from verify.plumbing.check import Broken, Tally
from verify.plumbing.device import SpoiledCapture
from verify.plumbing.tensor import value_fault

__all__ = ["errors"]

_COUNT = 10_007


def errors(bench: Bench, tally: Tally) -> None:
    """On a stream whose capture is invalid every launch fails: enqueue must say so.

    TensorRT can't see a launch that failed: a statically linked CUDA runtime keeps its errors to
    itself. Afterwards the stream is as good as new, and so must be the plugin.
    """
    for precision, (data, x, due) in bench.payload.items():
        plan = bench.deserialize(data, precision)
        device, context = bench.device, Context(bench, plan.engine)
        stream = device.new_stream()
        with device.memory(x.nbytes) as source, device.memory(x.nbytes) as target:
            source.put(x, stream)
            context.bind(x=source.address, y=target.address)
            context.enqueue(stream)
            target.poison(plan.kind.word, stream)
            device.sync()
            reported = ""
            with SpoiledCapture(stream) as spoiled:
                try:
                    context.enqueue(stream)
                except Broken as error:
                    reported = str(error)
            assert spoiled, "the capture was not spoiled"
            actual = target.get(stream).view(plan.kind.bits)
            written = bool((actual != plan.kind.poison).any())
            if written:
                tally.expect(precision, "it launched on another stream than the one given")
                continue
            swallowed = f"a launch failed ({spoiled}), and enqueue returned success"
            tally.expect(precision, "" if reported else swallowed)
            if reported:
                tally.note(f"{precision}: {reported}")
            try:
                context.enqueue(stream)
            except Broken as error:
                tally.expect(precision, f"after an error that is over, {error}")
                continue
            actual = target.get(stream).view(plan.kind.bits)
            fault = value_fault(actual, due, plan.kind)
            tally.expect(f"{precision}, after the error", fault)
