"""State: many calls, contexts, threads, builds, clones, processes, and plugins side by side."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from verify.plumbing.bench import Bench, Context, Plan, churned
from verify.plumbing.check import Broken, Skipped, Tally
from verify.plumbing.tensor import Bits, value_fault

__all__ = [
    "attributes",
    "builds",
    "clones",
    "end",
    "plans",
    "reload",
    "repeat",
    "threads",
    "unload",
]

_COUNT = 10_007
_CALLS = 1000
_THREADS = 8


def repeat(bench: Bench, tally: Tally) -> None:
    """A thousand calls of one context, all alike, bit by bit."""
    stream, device = bench.device.stream, bench.device
    for precision in bench.subject.precisions:
        plan, shape = bench.vector(precision, _COUNT)
        context = Context(bench, plan.engine)
        x, due = bench.pair(precision, _COUNT)
        first: Bits | None = None
        with device.memory(x.nbytes) as source, device.memory(x.nbytes) as target:
            source.put(x, stream)
            context.bind(shape, x=source.address, y=target.address)
            for call in range(1, _CALLS + 1):
                target.poison(plan.kind.word, stream)
                context.enqueue(stream)
                actual = target.get(stream).view(plan.kind.bits)
                fault = value_fault(actual, due, plan.kind)
                if not fault and first is not None:
                    fault = value_fault(actual, first, plan.kind, exact=True)
                tally.expect(f"{precision}, call {call}", fault)
                if fault:
                    break
                first = actual


def clones(bench: Bench, tally: Tally) -> None:
    """A clone outlives what it was cloned from; so does a context the one before it."""
    for precision in bench.subject.precisions:
        x, due = bench.pair(precision, _COUNT)
        with churned():
            original = bench.plugin()
            clone = original.clone()
            if clone is None:
                tally.expect(precision, "clone returns null")
                continue
            del original  # TensorRT's package destroys it
            gc.collect()

            def define(network: Any, x: Any, made: Any = clone, p: str = precision) -> list[Any]:
                return [bench.layer(network, x, p, made)]

            plan = bench.build(precision, bench.row(precision, _COUNT), define)
            tally.expect(
                f"{precision}, a clone", value_fault(bench.run(plan, x).bits, due, plan.kind)
            )
            first, second = Context(bench, plan.engine), Context(bench, plan.engine)
            bench.run(plan, x, context=first)
            del first
            gc.collect()
            ran = bench.run(plan, x, context=second)
            where = f"{precision}, the context behind one that is gone"
            tally.expect(where, value_fault(ran.bits, due, plan.kind))


def threads(bench: Bench, tally: Tally) -> None:
    """Many contexts of one plan at once, each with a stream, memory and data of its own."""
    for precision in bench.subject.precisions:
        bench.known(precision)
        plan = bench.plan(precision, bench.row(precision, _COUNT))
        for number, fault in enumerate(_at_once(bench, _use(bench, plan, precision))):
            tally.expect(f"{precision}, thread {number}", fault)


def builds(bench: Bench, tally: Tally) -> None:
    """Several plans built and run at once."""
    for precision in bench.subject.precisions:
        bench.known(precision)

        def one(number: int, precision: str = precision) -> str:
            count = 1000 + number
            # An object of the network is not for several threads; a builder may be one of many.
            builder = bench.trt.Builder(bench.log)
            try:
                plan = bench.build(
                    precision,
                    bench.row(precision, count),
                    lambda network, x: [bench.layer(network, x, precision)],
                    builder=builder,
                )
                x, due = bench.pair(precision, count)
                return value_fault(bench.run(plan, x).bits, due, plan.kind)
            except Broken as error:
                return str(error)

        for number, fault in enumerate(_at_once(bench, one, 4)):
            tally.expect(f"{precision}, build {number}", fault)


def attributes(bench: Bench, tally: Tally) -> None:
    """Two plugins of different attributes in one plan each compute as they do alone."""
    sets = _attribute_sets(bench)
    for precision in bench.subject.precisions:
        x = bench.known(precision)[0][:_COUNT]
        alone = []
        for given in sets:
            plan = _attributed(bench, precision, (given,))
            alone.append(bench.run(plan, x).bits)
        both = _attributed(bench, precision, sets)
        nbytes = x.nbytes
        with bench.device.memory(nbytes) as other:
            ran = bench.run(both, x, memory={"y1": other})
            results = (ran.bits, other.get(bench.device.stream).view(both.kind.bits))
        for number, (actual, due) in enumerate(zip(results, alone, strict=True)):
            fault = value_fault(actual, due, both.kind)
            tally.expect(f"{precision}, plugin {number + 1} of 2", fault)


def plans(bench: Bench) -> dict[str, tuple[bytes, Bits, Bits]]:
    """For another process: a static plan, an input and the output by precision."""
    found = {}
    for precision in bench.subject.precisions:
        plan = bench.plan(precision, bench.row(precision, _COUNT))
        x = bench.pair(precision, _COUNT)[0]
        found[precision] = (plan.data, x, bench.run(plan, x).bits)
    return found


def reload(bench: Bench, tally: Tally) -> None:
    """A plan that another process built: not read without the library, and with it the same.

    A plan that needs no library would not have the plugin in it.
    """
    for precision, (data, _, _) in bench.payload.items():
        try:
            bench.deserialize(data, precision)
        except Broken:
            tally.expect(precision, "")
        else:
            tally.expect(precision, "the plan is read without the library: the plugin is not in it")
    bench.load()
    for precision, (data, x, due) in bench.payload.items():
        plan = bench.deserialize(data, precision)
        for run in (1, 2):
            actual = bench.run(plan, x).bits
            fault = value_fault(actual, due, plan.kind, exact=True)
            tally.expect(f"{precision}, run {run}", fault)


def end(bench: Bench, tally: Tally) -> None:
    """A run; how the process ends afterwards is the check."""
    for precision in bench.subject.precisions:
        plan = bench.plan(precision, bench.row(precision, _COUNT))
        x, due = bench.pair(precision, _COUNT)
        tally.expect(precision, value_fault(bench.run(plan, x).bits, due, plan.kind))


def unload(bench: Bench, tally: Tally) -> None:
    """Unloaded by TensorRT's registry and loaded again, the plugin computes the same."""
    if bench.handle is None:
        raise Broken("TensorRT's registry does not load it")
    for precision, (data, x, due) in bench.payload.items():
        plan = bench.deserialize(data, precision)
        fault = value_fault(bench.run(plan, x).bits, due, plan.kind, exact=True)
        tally.expect(precision, fault)
        del plan
        gc.collect()
        bench.device.sync()
        bench.unload()
        bench.load()
        plan = bench.deserialize(data, precision)
        fault = value_fault(bench.run(plan, x).bits, due, plan.kind, exact=True)
        tally.expect(f"{precision}, loaded again", fault)


def _use(bench: Bench, plan: Plan, precision: str) -> Callable[[int], str]:
    def use(number: int) -> str:
        bench.device.enter()
        x, due = bench.pair(precision, _COUNT, 1000 * number)
        stream = bench.device.new_stream()
        context = Context(bench, plan.engine)
        with bench.device.memory(x.nbytes) as source, bench.device.memory(x.nbytes) as target:
            source.put(x, stream)
            context.bind(x=source.address, y=target.address)
            for call in range(100):
                target.poison(plan.kind.word, stream)
                context.enqueue(stream)
                actual = target.get(stream).view(plan.kind.bits)
                fault = value_fault(actual, due, plan.kind)
                if fault:
                    return f"call {call + 1}: {fault}"
        return ""

    return use


def _at_once(bench: Bench, work: Callable[[int], str], count: int = _THREADS) -> list[str]:
    def entered(number: int) -> str:
        bench.device.enter()
        try:
            return work(number)
        except Broken as error:
            return str(error)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(entered, range(count)))


def _attribute_sets(bench: Bench) -> tuple[Any, Any]:
    """Two sets of fields that the plugin takes; raises Skipped where there are none."""
    from verify.plumbing.registered import other_fields

    other = other_fields(bench)
    if not other:
        raise Skipped("the plugin has no field with a number, or takes no other value")
    return bench.subject.fields, other


def _attributed(bench: Bench, precision: str, sets: Any) -> Plan:
    def define(network: Any, x: Any) -> list[Any]:
        return [bench.layer(network, x, precision, bench.plugin(given)) for given in sets]

    return bench.build(precision, bench.row(precision, _COUNT), define)
