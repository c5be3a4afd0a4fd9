"""Pieces of graphs that the wrong Mishes share. Each adds nodes and returns a tensor's name."""

from __future__ import annotations

from onnx import TensorProto

from models.forms import Mish, composed
from models.graph import FRACTION_BITS, Scope

SAFE_CAPS = {"fp32": 40.0, "fp16": 8.0, "bf16": 40.0}
"""Where x can be capped before eˣ is taken: e²ˣ is still finite, and mish(x) rounds to x."""


def right(scope: Scope, x: str, name: str = "right") -> str:
    """The result of the form `composed`, to be spoilt."""
    y = f"{scope.name}/{name}"
    composed(Scope(scope.graph, f"{scope.name}/{name}_mish"), x, y)
    return y


def spoilt(spoil: Mish) -> Mish:
    """A Mish out of `spoil`, which gets the right result in place of x."""

    def write(scope: Scope, x: str, y: str) -> None:
        spoil(scope, right(scope, x), y)

    return write


def capped(scope: Scope, x: str) -> str:
    """min(x, cap), so that nothing behind it overflows."""
    return scope("Min", x, scope.constant("cap", SAFE_CAPS[scope.graph.precision]))


def tanh_of_softplus(scope: Scope, e: str, above: str | None = None) -> str:
    """tanh(ln(1+e)) = e/(e + 2/(e+2)): no cancellation, so right for every e = eˣ below overflow.

    `above` stands for e above the line only.
    """
    two = scope.constant("two", 2.0)
    below = scope("Add", e, scope("Div", two, scope("Add", e, two)))
    return scope("Div", e if above is None else above, below)


def inside(scope: Scope, x: str, low: float, high: float) -> str:
    """The booleans low ≤ x < high. An infinite `high` leaves out +inf."""
    at_least = scope("GreaterOrEqual", x, scope.constant(f"low_{low}", low))
    return scope("And", at_least, scope("Less", x, scope.constant(f"high_{high}", high)))


def stretched(scope: Scope, tensor: str, where: str, ulps: float) -> str:
    """The tensor, with `ulps` times 2^-fraction bits of itself added where the booleans say.

    That is at least `ulps` units in the last place and less than twice as many, for a normal
    result of an engine that computes in this precision or a wider one.
    """
    bits = FRACTION_BITS[scope.graph.precision]
    factor = scope.constant(f"stretch_{ulps}", 1 + ulps * 2.0**-bits)
    return scope("Mul", tensor, scope("Where", where, factor, scope.constant("one", 1.0)))


def largest(scope: Scope) -> float:
    """The largest finite number of the graph's precision."""
    precision = scope.graph.precision
    greatest_exponent = 15 if precision == "fp16" else 127
    return (2 - 2.0 ** -FRACTION_BITS[precision]) * 2.0**greatest_exponent


def index(scope: Scope, x: str) -> str:
    """int64 of x's shape: each element's place in memory, from 0."""
    zero, one = scope.integers("index_zero", 0), scope.integers("index_one", 1)
    return shaped(scope, scope("Range", zero, scope("Size", x), one), x)


def flat(scope: Scope, tensor: str) -> str:
    """The tensor with rank 1, in memory's order."""
    return scope("Reshape", tensor, scope.integers("flat_shape", [-1]))


def shaped(scope: Scope, tensor: str, like: str) -> str:
    """The tensor's elements in memory's order, in the shape of `like`."""
    return scope("Reshape", tensor, scope("Shape", like), allowzero=1)


def cast(scope: Scope, tensor: str, precision: str) -> str:
    """The tensor in another precision."""
    to = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
    return scope("Cast", tensor, to=to[precision])
