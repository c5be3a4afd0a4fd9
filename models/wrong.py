"""The graphs of the mutants: functions like the forms', from the tensor `x` to the tensor `y`.

What each one gets wrong stands in the table of `models.mutants`. What is not its bug is kept right,
so that a check which catches it does so for the named reason.
"""

from __future__ import annotations

import math

from models.forms import rational
from models.graph import FRACTION_BITS, Scope
from models.pieces import (
    capped,
    cast,
    flat,
    index,
    inside,
    largest,
    right,
    shaped,
    stretched,
    tanh_of_softplus,
)

# ----- 1: F1 and its parts ----------------------------------------------------------------------


def _log_of_sum(scope: Scope, x: str) -> str:
    """log(eˣ + 1), which rounds to 0 once eˣ is below half a ULP of 1."""
    return scope("Log", scope("Add", scope("Exp", x), scope.constant("one", 1.0)))


def _one_exponential(scope: Scope, x: str, softplus: str, y: str) -> None:
    """x·(2/(1+e⁻²ˢ) − 1)."""
    one, two = scope.constant("one", 1.0), scope.constant("two", 2.0)
    minus_two = scope.constant("minus_two", -2.0)
    decay = scope("Exp", scope("Mul", softplus, minus_two))
    tanh = scope("Sub", scope("Div", two, scope("Add", one, decay)), one)
    scope("Mul", x, tanh, output=y)


def f1(scope: Scope, x: str, y: str) -> None:
    """F1: both thresholds, log of a sum, tanh from one exponential."""
    low, high = scope.constant("minus_20", -20.0), scope.constant("plus_20", 20.0)
    small = scope("Where", scope("Less", x, low), scope("Exp", x), _log_of_sum(scope, x))
    softplus = scope("Where", scope("Greater", x, high), x, small)
    _one_exponential(scope, x, softplus, y)


def log_not_log1p(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(log(eˣ + 1)), with s = x above 20."""
    above = scope("Greater", x, scope.constant("plus_20", 20.0))
    softplus = scope("Where", above, x, _log_of_sum(scope, x))
    scope("Mul", x, scope("Tanh", softplus), output=y)


def tanh_from_one_exponential(scope: Scope, x: str, y: str) -> None:
    """Add x·(2/(1+e⁻²ˢ) − 1) of a right softplus s."""
    _one_exponential(scope, x, scope("Softplus", x), y)


# ----- 2: the rational form without a guard -----------------------------------------------------

rational_unguarded = rational


def rational_product_first(scope: Scope, x: str, y: str) -> None:
    """Add (x·n)/(n+2)."""
    two = scope.constant("two", 2.0)
    e = scope("Exp", x)
    n = scope("Mul", e, scope("Add", e, two))
    scope("Div", scope("Mul", x, n), scope("Add", n, two), output=y)


# ----- 3: tanh from its definition --------------------------------------------------------------


def tanh_from_sinh_and_cosh(scope: Scope, x: str, y: str) -> None:
    """Add x·(sinh s/cosh s)."""
    softplus = scope("Softplus", x)
    tanh = scope("Div", scope("Sinh", softplus), scope("Cosh", softplus))
    scope("Mul", x, tanh, output=y)


def tanh_from_two_exponentials(scope: Scope, x: str, y: str) -> None:
    """Add x·((eˢ − e⁻ˢ)/(eˢ + e⁻ˢ))."""
    softplus = scope("Softplus", x)
    up, down = scope("Exp", softplus), scope("Exp", scope("Neg", softplus))
    tanh = scope("Div", scope("Sub", up, down), scope("Add", up, down))
    scope("Mul", x, tanh, output=y)


# ----- 4 and 5: half precision and overflow -----------------------------------------------------


def softplus_in_native_half(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(log(eˣ + 1)) in the precision of the tensors."""
    # Overflow to inf is harmless here: log(inf) = inf and tanh(inf) = 1.
    scope("Mul", x, scope("Tanh", _log_of_sum(scope, x)), output=y)


def softplus_through_half(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(s), s rounded to fp16, and its argument too."""
    softplus = scope("Softplus", cast(scope, cast(scope, x, "fp16"), "fp32"))
    there_and_back = cast(scope, cast(scope, softplus, "fp16"), scope.graph.precision)
    scope("Mul", x, scope("Tanh", there_and_back), output=y)


def exp_overflow_to_nan(scope: Scope, x: str, y: str) -> None:
    """Add x·(e/(e + 2/(e+2))), which is inf/inf where e = eˣ overflows."""
    scope("Mul", x, tanh_of_softplus(scope, scope("Exp", x)), output=y)


def exp_overflow_to_zero(scope: Scope, x: str, y: str) -> None:
    """Add x·(min(e, largest)/(e + 2/(e+2))), which is 0 where e = eˣ overflows."""
    e = scope("Exp", x)
    clamped = scope("Min", e, scope.constant("largest", largest(scope)))
    scope("Mul", x, tanh_of_softplus(scope, e, clamped), output=y)


# ----- 6 to 9: infinity, bases, factors, thresholds ---------------------------------------------


def inf_to_nan(scope: Scope, x: str, y: str) -> None:
    """Add mish(x) + 0·x."""
    # For finite x, 0·x is a zero of x's sign: it changes nothing, not even −0.
    scope("Add", right(scope, x), scope("Mul", x, scope.constant("zero", 0.0)), output=y)


def _scaled_softplus(scope: Scope, x: str, y: str, inner: float, outer: float) -> None:
    """x·tanh(outer·softplus(inner·x))."""
    if inner != 1:
        softplus = scope("Softplus", scope("Mul", x, scope.constant("inner", inner)))
    else:
        softplus = scope("Softplus", x)
    scaled = scope("Mul", softplus, scope.constant("outer", outer))
    scope("Mul", x, scope("Tanh", scaled), output=y)


def log2_softplus(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(log2(1+eˣ))."""
    _scaled_softplus(scope, x, y, 1, 1 / math.log(2))


def log10_softplus(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(log10(1+eˣ))."""
    _scaled_softplus(scope, x, y, 1, 1 / math.log(10))


def without_x(scope: Scope, x: str, y: str) -> None:
    """Add tanh(softplus(x))."""
    scope("Tanh", scope("Softplus", x), output=y)


def softplus_beta_2(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(softplus(2x)/2)."""
    _scaled_softplus(scope, x, y, 2, 0.5)


def softplus_alpha_2(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(2·softplus(x))."""
    _scaled_softplus(scope, x, y, 1, 2)


def softplus_threshold_8(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(s), s = eˣ below −8 and x above 8."""
    # tanh(x) and tanh(softplus(x)) differ by 4e⁻³ˣ, which nobody sees above 8: what shows is the
    # threshold's lower side, where eˣ misses softplus(x) by eˣ/2 of it.
    low, high = scope.constant("minus_8", -8.0), scope.constant("plus_8", 8.0)
    small = scope("Where", scope("Less", x, low), scope("Exp", x), scope("Softplus", x))
    softplus = scope("Where", scope("Greater", x, high), x, small)
    scope("Mul", x, scope("Tanh", softplus), output=y)


def softplus_threshold_2(scope: Scope, x: str, y: str) -> None:
    """Add x·tanh(s), s = x above 2."""
    above = scope("Greater", x, scope.constant("two", 2.0))
    softplus = scope("Where", above, x, scope("Softplus", x))
    scope("Mul", x, scope("Tanh", softplus), output=y)


def _identity_above(scope: Scope, x: str, y: str, threshold: float) -> None:
    above = scope("Greater", x, scope.constant("threshold", threshold))
    scope("Where", above, x, right(scope, x), output=y)


def identity_above_6(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but x above 6."""
    _identity_above(scope, x, y, 6)


def identity_above_1(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but x above 1."""
    _identity_above(scope, x, y, 1)


# ----- 10: functions that look like Mish --------------------------------------------------------


def silu(scope: Scope, x: str, y: str) -> None:
    """Add x·sigmoid(x)."""
    scope("Mul", x, scope("Sigmoid", x), output=y)


def hard_mish(scope: Scope, x: str, y: str) -> None:
    """Add x·min(2, max(0, x+2))/2."""
    zero, two = scope.constant("zero", 0.0), scope.constant("two", 2.0)
    ramp = scope("Min", scope("Max", scope("Add", x, two), zero), two)
    scope("Mul", x, scope("Mul", ramp, scope.constant("half", 0.5)), output=y)


def _gelu(scope: Scope, x: str, bell: str, y: str) -> None:
    """x·(1 + bell)/2."""
    half = scope("Mul", scope("Add", bell, scope.constant("one", 1.0)), scope.constant("half", 0.5))
    scope("Mul", x, half, output=y)


def gelu_erf(scope: Scope, x: str, y: str) -> None:
    """Add x·(1 + erf(x/√2))/2."""
    scaled = scope("Mul", x, scope.constant("sqrt_half", math.sqrt(0.5)))
    _gelu(scope, x, scope("Erf", scaled), y)


def gelu_tanh(scope: Scope, x: str, y: str) -> None:
    """Add x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2."""
    # x + 0.044715 x³ as x·(1 + 0.044715 x²), which overflows to the right infinity.
    square = scope("Mul", scope("Mul", x, x), scope.constant("cubic", 0.044715))
    inner = scope("Mul", x, scope("Add", square, scope.constant("one", 1.0)))
    scaled = scope("Mul", inner, scope.constant("sqrt_two_over_pi", math.sqrt(2 / math.pi)))
    _gelu(scope, x, scope("Tanh", scaled), y)


# ----- 11: fast intrinsics ----------------------------------------------------------------------


def _exp_of_scaled(scope: Scope, x: str, y: str, factor: float) -> None:
    argument = scope("Mul", capped(scope, x), scope.constant("factor", factor))
    scope("Mul", x, tanh_of_softplus(scope, scope("Exp", argument)), output=y)


def fast_exp(scope: Scope, x: str, y: str) -> None:
    """Add mish(x) from eˣ of x·(1 + 8 ULP)."""
    _exp_of_scaled(scope, x, y, 1 + 2.0 ** (3 - FRACTION_BITS[scope.graph.precision]))


def fast_exp_short_constant(scope: Scope, x: str, y: str) -> None:
    """Add mish(x) from 2 to the x·1.4427."""
    _exp_of_scaled(scope, x, y, 1.4427 * math.log(2))


# ----- Properties -------------------------------------------------------------------------------


def neighbours(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), stabilized by the largest element of the whole tensor."""
    # With m = max(0, largest x) and e = eˣ⁻ᵐ: n/(n+2) = e(e+2/M)/(e(e+2/M) + 2/M²), M = eᵐ. That
    # is right for whoever holds the maximum, and underflows for the elements far below it. (In fp16
    # M may overflow: 2/M is then 0, and the quotient 1 for the maximum's holder.)
    two = scope.constant("two", 2.0)
    # As large as 2/M² stays a normal number in fp32.
    limit = scope.constant("cap_44", 44.0)
    below = scope("Min", x, limit)
    # A maximum over no elements at all has no value: 0 joins them.
    zeros = scope.graph.initializer("zeros", [0.0])
    joined = scope("Concat", flat(scope, below), zeros, axis=0)
    known = scope("ReduceMax", joined, keepdims=0)
    # A NaN among the elements counts as a large one: it may pass to no other element.
    maximum = scope("Where", scope("IsNaN", known), limit, known)
    shrunk = scope("Div", two, scope("Exp", maximum))
    shrunk_twice = scope("Div", shrunk, scope("Exp", maximum))
    e = scope("Exp", scope("Sub", below, maximum))
    n = scope("Mul", e, scope("Add", e, shrunk))
    scope("Mul", x, scope("Div", n, scope("Add", n, shrunk_twice)), output=y)


def nondeterministic(scope: Scope, x: str, y: str) -> None:
    """Add mish(x)·(1 + noise)."""
    # Each run of a session draws anew. A second session of ONNX Runtime in the same process draws
    # what the first one drew. ONNX's evaluator draws no scalars: the noise is made flat, in fp32,
    # and shaped afterwards.
    like = flat(scope, cast(scope, x, "fp32"))
    noise = cast(scope, scope("RandomUniformLike", like, low=-1.0, high=1.0), scope.graph.precision)
    size = scope.constant("noise", 2.0 ** (4 - FRACTION_BITS[scope.graph.precision]))
    factor = scope("Add", scope.constant("one", 1.0), scope("Mul", noise, size))
    scope("Mul", right(scope, x), shaped(scope, factor, x), output=y)


def unwritten_tail(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but 0 beyond the last full block of 256 elements."""
    block = scope.integers("block", 256)
    written = scope("Mul", scope("Div", scope("Size", x), block), block)
    inside_blocks = scope("Less", index(scope, x), written)
    scope("Where", inside_blocks, right(scope, x), scope.constant("zero", 0.0), output=y)


def batch_ignored(scope: Scope, x: str, y: str) -> None:
    """Add mish(x) in the first slice of axis 0, elsewhere 0."""
    if not scope.graph.shape:
        # A scalar has no batch to ignore.
        scope("Identity", right(scope, x), output=y)
        return
    first, second = scope.integers("first", [0]), scope.integers("second", [1])
    stride = scope("Size", scope("Slice", x, first, second, first))
    in_first = scope("Less", index(scope, x), stride)
    scope("Where", in_first, right(scope, x), scope.constant("zero", 0.0), output=y)


def rank_hard_coded(scope: Scope, x: str, y: str) -> None:
    """Add mish(x) for scalars, vectors and rank 4, else elements in the wrong order."""
    result = right(scope, x)
    if len(scope.graph.shape) in (0, 1, 4):
        scope("Identity", result, output=y)
    else:
        # Strides of another layout: the values of x's transpose, written in x's order.
        scope("Reshape", scope("Transpose", result), scope("Shape", x), output=y, allowzero=1)


def position(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but 8 ULP more at odd places."""
    one = scope.integers("index_one", 1)
    odd = scope("Equal", scope("Mod", index(scope, x), scope.integers("index_two", 2)), one)
    scope("Identity", stretched(scope, right(scope, x), odd, 8), output=y)


def nan_swallowed(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but 0 for NaN."""
    zero = scope.constant("zero", 0.0)
    scope("Where", scope("IsNaN", x), zero, right(scope, x), output=y)


def negative_zero_lost(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but +0 for −0."""
    # Not y + 0, which ONNX Runtime's optimizer removes.
    zero = scope.constant("zero", 0.0)
    scope("Where", scope("Equal", x, zero), zero, right(scope, x), output=y)


def tail_positive_zero(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but +0 where a negative x gives −0."""
    zero = scope.constant("zero", 0.0)
    result = right(scope, x)
    flushed = scope("And", scope("Equal", result, zero), scope("Less", x, zero))
    scope("Where", flushed, zero, result, output=y)


def tail_sign_lost(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but its absolute value below −6."""
    result = right(scope, x)
    tail = scope("Less", x, scope.constant("minus_6", -6.0))
    scope("Where", tail, scope("Abs", result), result, output=y)


def saturates_early(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but for finite x no more than half of the largest number."""
    half = scope.constant("half_of_largest", largest(scope) / 2)
    beyond = inside(scope, x, largest(scope) / 2, math.inf)
    scope("Where", beyond, half, right(scope, x), output=y)


def minimum_too_deep(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but 8 ULP more around the minimum."""
    well = inside(scope, x, -1.25, -1.125)
    scope("Identity", stretched(scope, right(scope, x), well, 8), output=y)


def step_in_bulk(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but 16 ULP less for 1 ≤ x < 1.5."""
    step = inside(scope, x, 1.0, 1.5)
    scope("Identity", stretched(scope, right(scope, x), step, -16), output=y)


def one_input_wrong(scope: Scope, x: str, y: str) -> None:
    """Add mish(x), but 64 ULP more at one x."""
    # A number of every fp16 grid, so that fp32 samples which hold all of fp16 hold it too.
    value = 0.69921875 if scope.graph.precision == "bf16" else 0.7001953125
    hit = scope("Equal", x, scope.constant("one_input", value))
    scope("Identity", stretched(scope, right(scope, x), hit, 64), output=y)


def lower_precision_table(scope: Scope, x: str, y: str) -> None:
    """In fp16 x·t, t = tanh(softplus(x)) rounded to bf16; else mish(x)."""
    if scope.graph.precision != "fp16":
        scope("Identity", right(scope, x), output=y)
        return
    tanh = scope("Tanh", scope("Softplus", cast(scope, x, "fp32")))
    scope("Mul", x, cast(scope, cast(scope, tanh, "bf16"), "fp16"), output=y)
