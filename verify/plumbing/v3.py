"""What only an IPluginV3 has, in TensorRT 10 and later."""

from __future__ import annotations

import math

from verify.plumbing.bench import Bench, Context, Plan
from verify.plumbing.check import Skipped, Tally
from verify.plumbing.tensor import value_fault

__all__ = ["aliasing", "shape_change", "tactics", "timing_cache"]

_COUNT = 10_007


def shape_change(bench: Bench, tally: Tally) -> None:
    """OnShapeChange follows a new shape and a new address, in any order, and changes nothing."""
    _needs_v3(bench)
    bench.needs_dynamic()
    for precision in bench.subject.precisions:
        plan = bench.plan(precision, (-1, -1), ((1, 3), (64, 64), (4096, 100)))
        context = Context(bench, plan.engine)
        # Each run has new addresses; every other one keeps its shape.
        for shape in ((64, 64), (64, 64), (1, 3), (1, 3), (64, 64), (7, 99)):
            x, due = bench.pair(precision, math.prod(shape))
            ran = bench.run(plan, x, shape, context=context)
            tally.expect(f"{precision} {shape}", value_fault(ran.bits, due, plan.kind))


def timing_cache(bench: Bench, tally: Tally) -> None:
    """Plans built with the timing cache of another build, of other attributes too."""
    from verify.plumbing.registered import other_fields

    _needs_v3(bench)
    other = other_fields(bench)
    for precision in bench.subject.precisions:
        x = bench.pair(precision, _COUNT)[0]
        builder = bench.trt.Builder(bench.log)
        cache = timings = b""
        for given in (bench.subject.fields, *((other,) if other else ())):
            results = []
            # Without one, and with all that the builds before have timed, of other fields too.
            for known in (None, cache):
                plan = bench.build(
                    precision,
                    bench.row(precision, _COUNT),
                    lambda network, x, p=precision, g=given: [  # type: ignore[misc]
                        bench.layer(network, x, p, bench.plugin(g))
                    ],
                    level=None,  # at the lowest one nothing is timed
                    builder=builder,
                    cache=known,
                )
                timings = plan.timings
                results.append(bench.run(plan, x).bits)
            cache = timings
            tally.expect(precision, value_fault(results[1], results[0], plan.kind))


def tactics(bench: Bench, tally: Tally) -> None:
    """Whichever tactic a build chooses, the values are the same."""
    _needs_v3(bench)
    for precision in bench.subject.precisions:
        x, due = bench.pair(precision, _COUNT)
        for number in range(3):
            plan: Plan = bench.build(
                precision,
                bench.row(precision, _COUNT),
                lambda network, x, p=precision: [bench.layer(network, x, p)],  # type: ignore[misc]
                level=None,
            )
            fault = value_fault(bench.run(plan, x).bits, due, plan.kind)
            tally.expect(f"{precision}, build {number + 1}", fault)


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


def _needs_v3(bench: Bench) -> None:
    if not bench.is_v3:
        raise Skipped("only an IPluginV3 has it")
