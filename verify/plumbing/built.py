"""Which plans TensorRT builds with the plugin, in which types and formats, and what they return."""

from __future__ import annotations

import numpy as np

from verify.plumbing.bench import Bench, Plan, Unbuilt
from verify.plumbing.check import Broken, Tally
from verify.plumbing.tensor import (
    FORMATS,
    KINDS,
    LINEAR,
    Bits,
    Layout,
    extremes,
    guard_fault,
    pack,
    value_fault,
    values,
)

__all__ = ["build", "formats", "mismatch", "refit", "refusal"]

# Channels that are a multiple of no vector, of some, and of all.
_SHAPES = {
    3: ((2, 5, 3, 7), (1, 33, 2, 3), (2, 32, 2, 5), (9, 4, 6)),
    4: ((1, 5, 2, 3, 7), (2, 16, 2, 1, 3), (3, 2, 4, 5)),
}

_CHANNELS = 9  # of an image of all kinds of inputs: a multiple of no vector
# ULP between two results that are both within the limits of plugins (1 ULP in fp32, 0.51 else).
_APART = {"fp32": 2, "fp16": 1, "bf16": 1}


def build(bench: Bench, tally: Tally) -> None:
    """A plan in each precision, with the plugin in that precision, that writes its output."""
    for precision in dict.fromkeys((*bench.subject.required, *bench.subject.precisions)):
        try:
            # Only a static plan says what it is made of before it has run.
            tally.expect(precision, _precision_fault(bench.plan(precision, (4096,)), precision))
            plan, shape = bench.vector(precision, 4096, ())
        except Unbuilt as error:
            tally.expect(precision, f"TensorRT builds no plan: {error}")
            continue
        x = values(KINDS[precision])[:4096]
        ran = bench.run(plan, x, shape)
        left = int(np.count_nonzero(ran.bits == plan.out.poison))
        tally.expect(precision, f"{left} of 4096 elements were not written" if left else "")


def refusal(bench: Bench, tally: Tally) -> None:
    """What there is no Mish of, or none in this plugin, is refused; what it claims is not."""
    for precision in bench.subject.lacking:
        claimed = bench.claims(precision, LINEAR, 1)
        try:
            plan = bench.plan(precision, (64,))
        except Unbuilt as error:
            fault = f"it is claimed, and TensorRT builds no plan: {error}" if claimed else ""
        else:
            fault = _precision_fault(plan, precision)
            if not fault:
                tally.miss(f"{precision} is built here, and its cases were refused")
        tally.expect(precision, fault)
        for layout in FORMATS[precision]:
            if layout is not LINEAR and bench.claims(precision, layout, layout.axis + 1):
                tally.miss(f"{precision} {layout.name} is claimed, and {precision} is not tested")
    if bench.claims("int8", LINEAR, 1):
        tally.miss("int8 is claimed, and there are no limits for it")
    try:
        plan = bench.plan("int32", (64,), direct=True)
    except Unbuilt:
        tally.expect("int32", "")
        return
    tensors = (*plan.plugin.inputs, *plan.plugin.outputs)
    taken = all(tensor.precision == "int32" for tensor in tensors)
    tally.expect("int32", "accepted, though there is no Mish of integers" if taken else "")


def formats(bench: Bench, tally: Tally) -> None:
    """Each format that it accepts, with padding that is zero and must stay zero."""
    for precision in bench.subject.precisions:
        found = []
        for layout in FORMATS[precision]:
            if layout is LINEAR:
                continue
            for shape in _SHAPES[layout.axis]:
                plan = bench.claimed(precision, shape, layout)
                where = f"{precision} {layout.name} {shape}"
                if plan is None:
                    if bench.claims(precision, layout, len(shape)):
                        tally.miss(f"{where} is claimed, and TensorRT builds no plan with it")
                    continue
                found.append(layout.name)
                x, due = (_shaped(bits, shape) for bits in bench.pair(precision, _size(shape)))
                ran = bench.run(plan, pack(x, layout))
                tally.expect(where, value_fault(ran.bits, pack(due, layout), plan.kind))
                tally.expect(where, guard_fault("output", ran.y, plan.kind.word))
            if layout.name in found:
                _extreme(bench, tally, precision, layout)
        names = ", ".join(dict.fromkeys(found)) or "no format but LINEAR"
        tally.note(f"{precision}: {names}")
        tally.expect("", "")  # every format was asked for


def _extreme(bench: Bench, tally: Tally, precision: str, layout: Layout) -> None:
    """Inputs of every size in a format: as far off as two right results may be, and no more."""
    kind = KINDS[precision]
    bits = extremes(kind)
    shape = (1, _CHANNELS, *(1,) * (layout.axis - 2), -(-bits.size // _CHANNELS))
    where = f"{precision} {layout.name}, inputs of every size"
    plan = bench.claimed(precision, shape, layout)
    if plan is None:
        tally.miss(f"{where}: TensorRT builds no plan of {shape}")
        return
    x = np.resize(bits, _size(shape))
    due = _shaped(bench.alone(precision, x), shape)
    ran = bench.run(plan, pack(_shaped(x, shape), layout))
    slack = _APART[precision]
    tally.expect(where, value_fault(ran.bits, pack(due, layout), plan.kind, slack=slack))


def mismatch(bench: Bench, tally: Tally) -> None:
    """Pairs of different formats, or types, that it accepts: right, or better refused."""
    shape = (1, 5, 2, 3)
    for precision in bench.subject.precisions:
        layouts = [layout for layout in FORMATS[precision] if layout.axis == 3]
        for layout in layouts:
            for other in layouts:
                if layout is other:
                    continue
                where = f"{precision} {layout.name} to {other.name}"
                plan = _accepted(bench, precision, precision, shape, layout, other)
                if plan is None:
                    tally.expect(where, "")
                    continue
                x, due = (_shaped(bits, shape) for bits in bench.pair(precision, _size(shape)))
                packed = pack(due, other)
                ran = bench.run(plan, pack(x, layout), count=packed.size)
                tally.expect(where, value_fault(ran.bits, packed, plan.out))
        for out in bench.subject.precisions:
            if out == precision:
                continue
            plan = _accepted(bench, precision, out, shape, LINEAR, LINEAR)
            if plan is None:
                tally.expect(f"{precision} to {out}", "")
                continue
            # Small integers are the same numbers in every precision.
            x = np.arange(_size(shape), dtype=np.float64) - 12
            ran = bench.run(plan, KINDS[precision].of(x))
            due = bench.alone(out, KINDS[out].of(x))
            tally.expect(f"{precision} to {out}", value_fault(ran.bits, due, plan.out))


def refit(bench: Bench, tally: Tally) -> None:
    """A plan that may be refitted."""
    for precision in bench.subject.precisions:
        plan = bench.plan(precision, bench.row(precision, 1000), refit=True)
        x, due = bench.pair(precision, 1000)
        tally.expect(precision, value_fault(bench.run(plan, x).bits, due, plan.kind))


def _accepted(
    bench: Bench, precision: str, out: str, shape: tuple[int, ...], layout: Layout, other: Layout
) -> Plan | None:
    """The plan, where the plugin really has both ends as they were asked for."""
    try:
        if bench.denies(shape, (precision, layout), (out, other)):
            return None
        plan = bench.plan(precision, shape, layout=layout, out=out, out_layout=other, direct=True)
        layer = plan.plugin
    except Broken:
        return None
    ends = (*layer.inputs, *layer.outputs)
    right = [(precision, layout.name), (out, other.name)]
    said = [(end.precision or p, end.layout or n) for end, (p, n) in zip(ends, right, strict=False)]
    return plan if said == right else None


def _precision_fault(plan: Plan, precision: str) -> str:
    ends = (*plan.plugin.inputs, *plan.plugin.outputs)
    other = [end.precision for end in ends if end.precision not in (precision, "")]
    return f"the plugin runs in {other[0]} instead" if other else ""


def _shaped(bits: Bits, shape: tuple[int, ...]) -> Bits:
    return bits.reshape(shape)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))
