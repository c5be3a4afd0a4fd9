"""What only an IPluginV3 has, in TensorRT 10 and later."""

from __future__ import annotations

import math
from typing import Any

from verify.plumbing.bench import LONGEST, Bench, Context, Plan
from verify.plumbing.check import Skipped, Tally
from verify.plumbing.tensor import guard_fault, value_fault

__all__ = ["aliasing", "shape_change", "tactics", "timing_cache"]

_COUNT = 10_007


def shape_change(bench: Bench, tally: Tally) -> None:
    """OnShapeChange follows a new shape and a new address, in any order, and changes nothing."""
    _needs_v3(bench)
    bench.needs_dynamic()
    for precision in bench.subject.precisions:
        plan = bench.plan(precision, (-1, -1), ((1, 3), (64, 64), (4096, 100)))
        context = Context(bench, plan.engine)
        # Each run binds memory of its own; every other one keeps its shape. Sizes fall and rise
        # beyond the first one: what is kept of it writes too much, or too little.
        shapes = ((64, 64), (64, 64), (1, 3), (1, 3), (4096, 100), (4096, 100), (64, 64), (7, 99))
        for shape in shapes:
            x, due = bench.pair(precision, math.prod(shape))
            ran = bench.run(plan, x, shape, context=context)
            fault = value_fault(ran.bits, due, plan.kind)
            tally.expect(
                f"{precision} {shape}", fault or guard_fault("output", ran.y, ran.kind.word)
            )


def timing_cache(bench: Bench, tally: Tally) -> None:
    """Plans built with the timings of another build, of other attributes too, are as without."""
    from verify.plumbing.registered import other_fields

    _needs_v3(bench)
    other = other_fields(bench)
    attributes = (bench.subject.fields, *((other,) if other else ()))
    for precision in bench.subject.precisions:
        x = bench.pair(precision, _COUNT)[0]
        builder = bench.trt.Builder(bench.log)
        # From an empty cache nothing is taken: everything is timed.
        plans = [_timed(bench, builder, precision, given, b"") for given in attributes]
        for i, given in enumerate(attributes):
            due = bench.run(plans[i], x).bits
            for j, source in enumerate(plans):
                plan = _timed(bench, builder, precision, given, source.timings)
                whose = "its own timings" if i == j else "the timings of other fields"
                fault = value_fault(bench.run(plan, x).bits, due, plan.kind)
                tally.expect(f"{precision}, {whose}", fault)


def tactics(bench: Bench, tally: Tally) -> None:
    """Whichever tactic a build chooses, the values are the same."""
    _needs_v3(bench)
    for precision in bench.subject.precisions:
        # Of a few elements it is the launch that costs, of many the memory: other tactics win.
        for number, count in enumerate((_COUNT, _COUNT, _COUNT, LONGEST), 1):
            x, due = bench.pair(precision, count)
            plan: Plan = bench.build(
                precision,
                bench.row(precision, count),
                lambda network, x, p=precision: [bench.layer(network, x, p)],  # type: ignore[misc]
                level=None,
            )
            fault = value_fault(bench.run(plan, x).bits, due, plan.kind)
            tally.expect(f"{precision}, build {number}, {count} elements", fault)


def aliasing(bench: Bench, tally: Tally) -> None:
    """Input and output may only share memory where TensorRT was told so: here they never do."""
    _needs_v3(bench)
    for precision in bench.subject.precisions:
        x, due = bench.pair(precision, _COUNT)
        plan = bench.plan(precision, bench.row(precision, _COUNT))
        ran = bench.run(plan, x)
        same = bool((ran.x.inside.view(plan.kind.bits) == x).all())
        tally.expect(precision, "" if same else "the output was written over the input")
        tally.expect(precision, value_fault(ran.bits, due, plan.kind))


def _timed(bench: Bench, builder: Any, precision: str, given: Any, timings: bytes) -> Plan:
    """A plan of a plugin with the fields ``given``, by a builder that knows ``timings``."""
    return bench.build(
        precision,
        bench.row(precision, _COUNT),
        lambda network, x: [bench.layer(network, x, precision, bench.plugin(given))],
        level=None,  # at the lowest one nothing is timed
        builder=builder,
        cache=timings,
    )


def _needs_v3(bench: Bench) -> None:
    if not bench.is_v3:
        raise Skipped("only an IPluginV3 has it")
