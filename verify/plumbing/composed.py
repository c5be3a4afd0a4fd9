"""Inside of a network: the same values as alone, wherever the plugin stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from verify.plumbing.bench import LEVEL, Bench, Context, Plan
from verify.plumbing.check import Tally
from verify.plumbing.tensor import Bits, value_fault

__all__ = ["network"]

_SHAPE = (2, 6, 4, 5)
_ORDER = (0, 2, 3, 1)  # a permutation that moves every element
_BACK = (0, 3, 1, 2)

_Define = Callable[[Bench, Any, Any, str], list[Any]]


def network(bench: Bench, tally: Tally) -> None:
    """Between layers that only move elements, its own results marked as outputs or not.

    One behind the other, too, with nothing between. Concatenations along the first axis are
    written in place by what feeds them. Not quick: built at the builder's default level, and also
    between element-wise layers, which may work in place.
    """
    for precision in bench.subject.precisions:
        x = bench.pair(precision, math.prod(_SHAPE))[0]
        due = _due(bench, precision, x)
        for marked in (True, False):
            plan = _built(bench, precision, partial(_moved, marked=marked))
            names = ("last", "first", "between", "inner")[: 4 if marked else 2]
            where = f"{precision}, {'' if marked else 'not '}marked as an output"
            for run in (1, 2):  # in the second one every buffer holds what the first one left
                for name, actual in zip(names, _run(bench, plan, x, due, names), strict=True):
                    fault = value_fault(actual, due[name], plan.kind)
                    tally.expect(f"{where}, {name}, run {run}", fault)
        plan = _built(bench, precision, _behind)
        for run in (1, 2):
            (actual,) = _run(bench, plan, x, due, ("behind",))
            fault = value_fault(actual, due["behind"], plan.kind)
            tally.expect(f"{precision}, three in a row, run {run}", fault)
        if not bench.subject.quick:
            plan = _built(bench, precision, _elementwise)
            fault = value_fault(bench.run(plan, x).bits, due["between"], plan.kind)
            tally.expect(f"{precision}, between element-wise layers", fault)


def _built(bench: Bench, precision: str, define: _Define) -> Plan:
    def defined(network: Any, x: Any) -> list[Any]:
        return define(bench, network, x, precision)

    level = LEVEL if bench.subject.quick else None
    return bench.build(precision, _SHAPE, defined, layouts=None, level=level)


def _moved(bench: Bench, network: Any, x: Any, precision: str, marked: bool) -> list[Any]:
    """X -> mish -> ... and x -> transposed -> mish -> transposed back -> mish -> ...

    Returns what `_due` calls last and first, and if ``marked`` between and inner.
    """
    first = bench.layer(network, x, precision)
    moved = _transposed(bench, network, x, _ORDER, precision)
    inner = bench.layer(network, moved, precision)
    back = _transposed(bench, network, inner, _BACK, precision)
    between = bench.layer(network, back, precision)
    # Used twice each, and neighbours in one piece of memory.
    joined = _joined(bench, network, [between, back, first], precision)
    last = bench.layer(network, joined, precision)
    again = _joined(bench, network, [first, x], precision)
    return [last, again, *((between, inner) if marked else ())]


def _behind(bench: Bench, network: Any, x: Any, precision: str) -> list[Any]:
    """X -> mish -> mish -> mish: each reads what the one before has just written."""
    for _ in range(3):
        x = bench.layer(network, x, precision)
    return [x]


def _due(bench: Bench, precision: str, x: Bits) -> dict[str, Bits]:
    """The same by plain runs and NumPy."""
    once = bench.alone(precision, x)
    twice = bench.alone(precision, once)
    joined = np.concatenate([twice, once, once])
    return {
        "last": bench.alone(precision, joined),
        "first": np.concatenate([once, x]),
        "between": twice,
        "inner": once.reshape(_SHAPE).transpose(_ORDER).reshape(-1).copy(),
        "behind": bench.alone(precision, twice),
    }


def _transposed(bench: Bench, network: Any, x: Any, order: tuple[int, ...], precision: str) -> Any:
    layer = network.add_shuffle(x)
    layer.first_transpose = bench.trt.Permutation(order)
    return _typed(bench, layer, precision)


def _joined(bench: Bench, network: Any, parts: list[Any], precision: str) -> Any:
    layer = network.add_concatenation(parts)
    layer.axis = 0
    return _typed(bench, layer, precision)


def _typed(bench: Bench, layer: Any, precision: str) -> Any:
    if bench.subject.obey:
        layer.precision = bench.data_type(precision)
        layer.set_output_type(0, bench.data_type(precision))
    return layer.get_output(0)


def _elementwise(bench: Bench, network: Any, x: Any, precision: str) -> list[Any]:
    """The plugin twice between maxima of a tensor and itself, which return what they are given."""
    trt = bench.trt

    def same(tensor: Any) -> Any:
        layer = network.add_elementwise(tensor, tensor, trt.ElementWiseOperation.MAX)
        return _typed(bench, layer, precision)

    first = bench.layer(network, same(x), precision)
    return [same(bench.layer(network, same(first), precision))]


def _run(
    bench: Bench, plan: Plan, x: Bits, due: dict[str, Bits], names: tuple[str, ...]
) -> list[Bits]:
    stream = bench.device.stream
    context = Context(bench, plan.engine)
    with ExitStack() as stack:
        source = stack.enter_context(bench.device.memory(x.nbytes))
        source.put(x, stream)
        targets = [stack.enter_context(bench.device.memory(due[name].nbytes)) for name in names]
        for target in targets:
            target.poison(plan.kind.word, stream)
        places = {f"y{number or ''}": target.address for number, target in enumerate(targets)}
        context.bind(None, x=source.address, **places)
        context.enqueue(stream)
        return [target.get(stream).view(plan.kind.bits) for target in targets]
