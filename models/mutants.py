"""Mutants: wrong Mishes, each with one bug, to prove that a check can fail.

`MUTANTS` is the table. The numeric ones are bugs of published kernels, plugins and issue threads,
named by their number; the others each break one property and, outside of it, are the form
`composed`, operator for operator (but `neighbours`, which has a formula of its own).

Every mutant is built like a form, so any context, precision and rank will do; `precisions`,
`engines` and `ranks` say where it is wrong by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx import ModelProto

from models import wrong
from models.forms import Mish, PluginNode
from models.forms import form as form_of
from models.graph import Scope
from models.model import assemble
from models.names import FORMS, PRECISIONS, RANKS, require
from models.pieces import inside, stretched

ALL = PRECISIONS
BOTH = ("reference", "onnxruntime")
REFERENCE = ("reference",)

# A scalar has neither neighbours nor a batch.
_WITH_AXES = tuple(rank for rank in RANKS if rank > 0)
_NO_BF16 = ("onnxruntime", "bf16")
# ONNX Runtime has no fp16 Softplus and expands it to Log(1 + Exp(x)) in fp32, which loses the tail
# below -16.64 just as these do, and `neighbours` there: they are no worse than the form that
# judges them.
_AS_BAD_AS_COMPOSED = (("onnxruntime", "fp16"),)


@dataclass(frozen=True)
class Mutant:
    """One wrong Mish.

    `bug` is its number in the list of bugs, or ``properties``; `form` is the form whose limits
    judge it. It is wrong by itself, and visibly worse than that form, at every one of `ranks` in
    every one of `precisions` on every one of `engines`, except for the pairs (engine, precision)
    in `spared` and for bf16 on ONNX Runtime, which has no bf16 Mish: `engines_for` says it.
    """

    name: str
    bug: str
    form: str
    precisions: tuple[str, ...]
    engines: tuple[str, ...]
    description: str
    mish: Mish = field(repr=False, compare=False)
    ranks: tuple[int, ...] = RANKS
    spared: tuple[tuple[str, str], ...] = ()

    def build(
        self, precision: str, context: str = "alone", *, rank: int | None = None
    ) -> ModelProto:
        """The wrong model: interface and ValueErrors are those of `models.build`.

        Precisions outside of `precisions` build as well; the mutant may be right there.
        """
        return assemble(f"mutant-{self.name}", self.mish, context, precision, rank=rank)

    def engines_for(self, precision: str) -> tuple[str, ...]:
        """The engines on which it is wrong in a precision; none outside of `precisions`."""
        if precision not in self.precisions:
            return ()
        spared = (*self.spared, _NO_BF16)
        return tuple(engine for engine in self.engines if (engine, precision) not in spared)


def off_by_ulps(form: str, precision: str, k: float, lo: float, hi: float) -> Mutant:
    """A form whose results for lo ≤ x < hi are off by at least |k| ULP and less than 2|k|.

    Positive k is away from zero. Results outside, and subnormal ones for small k, are untouched.
    Raises ValueError for an unknown form or precision, k = 0 or an empty interval.
    """
    require("form", form, FORMS)
    require("precision", precision, PRECISIONS)
    if not k:
        raise ValueError("k: 0 ULP would be no mutant; give any other number")
    if not lo < hi:
        raise ValueError(f"lo: {lo} is not below hi = {hi}; give lo < hi")
    correct = form_of(form, PluginNode())

    def mish(scope: Scope, x: str, y: str) -> None:
        inner = f"{scope.name}/form"
        correct(Scope(scope.graph, f"{scope.name}/right_mish"), x, inner)
        scope("Identity", stretched(scope, inner, inside(scope, x, lo, hi), k), output=y)

    return Mutant(
        f"off-by-{k:g}-ulp-from-{lo:g}-to-{hi:g}",
        "properties",
        form,
        (precision,),
        BOTH,
        f"{form}, off by {k:g} to {2 * k:g} ULP for {lo:g} <= x < {hi:g}",
        mish,
    )


def _numeric(
    bug: int,
    name: str,
    mish: Mish,
    description: str,
    *,
    form: str = "composed",
    precisions: tuple[str, ...] = ALL,
    engines: tuple[str, ...] = BOTH,
    spared: tuple[tuple[str, str], ...] = (),
) -> Mutant:
    return Mutant(name, str(bug), form, precisions, engines, description, mish, spared=spared)


def _property(
    name: str,
    mish: Mish,
    description: str,
    *,
    precisions: tuple[str, ...] = ALL,
    ranks: tuple[int, ...] = RANKS,
    spared: tuple[tuple[str, str], ...] = (),
) -> Mutant:
    return Mutant(
        name, "properties", "composed", precisions, BOTH, description, mish, ranks, spared
    )


MUTANTS: tuple[Mutant, ...] = (
    _numeric(
        1,
        "f1-as-published",
        wrong.f1,
        "s = x if x > 20, e^x if x < -20, else log(e^x + 1); x*(2/(1+e^(-2s)) - 1)",
        spared=_AS_BAD_AS_COMPOSED,
    ),
    _numeric(
        1,
        "log-not-log1p",
        wrong.log_not_log1p,
        "softplus as log(e^x + 1) up to 20: the tail is lost",
        spared=_AS_BAD_AS_COMPOSED,
    ),
    _numeric(
        1,
        "tanh-from-one-exponential",
        wrong.tanh_from_one_exponential,
        "tanh as 2/(1+e^(-2s)) - 1 of a right softplus: cancels in the tail",
        spared=_AS_BAD_AS_COMPOSED,
    ),
    _numeric(
        2,
        "rational-unguarded",
        wrong.rational_unguarded,
        "x*(n/(n+2)) judged as composed: NaN where n = e^x(e^x+2) overflows",
    ),
    _numeric(
        2,
        "rational-product-first",
        wrong.rational_product_first,
        "(x*n)/(n+2): overflows before n does",
        form="rational",
    ),
    _numeric(
        3,
        "tanh-from-sinh-and-cosh",
        wrong.tanh_from_sinh_and_cosh,
        "sinh(s)/cosh(s): NaN where both overflow",
    ),
    _numeric(
        3,
        "tanh-from-two-exponentials",
        wrong.tanh_from_two_exponentials,
        "(e^s - e^-s)/(e^s + e^-s): NaN where e^s overflows, cancels in the tail",
    ),
    _numeric(
        4,
        "softplus-in-native-half",
        wrong.softplus_in_native_half,
        "log(1 + e^x) in fp16 throughout: 0 for x <= -7.625",
        precisions=("fp16",),
        engines=REFERENCE,
    ),
    _numeric(
        4,
        "softplus-through-half",
        wrong.softplus_through_half,
        "x cast to fp16, the softplus cast back: the tail ends at -17.3",
        precisions=("fp32", "bf16"),
    ),
    _numeric(
        5,
        "exp-overflow-to-nan",
        wrong.exp_overflow_to_nan,
        "e/(e + 2/(e+2)): inf/inf where e = e^x overflows",
    ),
    _numeric(
        5,
        "exp-overflow-to-zero",
        wrong.exp_overflow_to_zero,
        "the same with the numerator clamped: finite/inf = 0 where e^x overflows",
    ),
    _numeric(6, "inf-to-nan", wrong.inf_to_nan, "mish(x) + 0*x: +inf becomes NaN"),
    _numeric(7, "log2-softplus", wrong.log2_softplus, "softplus with the logarithm of base 2"),
    _numeric(7, "log10-softplus", wrong.log10_softplus, "softplus with the logarithm of base 10"),
    _numeric(8, "without-x", wrong.without_x, "tanh(softplus(x)), the factor x forgotten"),
    _numeric(9, "softplus-beta-2", wrong.softplus_beta_2, "softplus(2x)/2"),
    _numeric(9, "softplus-alpha-2", wrong.softplus_alpha_2, "2*softplus(x)"),
    _numeric(
        9,
        "softplus-threshold-8",
        wrong.softplus_threshold_8,
        "softplus(x) = e^x for x < -8 and x for x > 8",
        precisions=("fp32",),
    ),
    _numeric(
        9,
        "softplus-threshold-2",
        wrong.softplus_threshold_2,
        "softplus(x) = x for x > 2",
        precisions=("fp32", "fp16"),
    ),
    _numeric(
        9,
        "identity-above-6",
        wrong.identity_above_6,
        "mish(x) = x for x > 6, before it is so in fp32",
        precisions=("fp32",),
    ),
    _numeric(
        9,
        "identity-above-1",
        wrong.identity_above_1,
        "mish(x) = x for x > 1",
    ),
    _numeric(10, "silu", wrong.silu, "x*sigmoid(x)"),
    _numeric(10, "hard-mish", wrong.hard_mish, "x*min(2, max(0, x+2))/2"),
    _numeric(10, "gelu-erf", wrong.gelu_erf, "x*(1 + erf(x/sqrt 2))/2"),
    _numeric(
        10,
        "gelu-tanh",
        wrong.gelu_tanh,
        "x*(1 + tanh(sqrt(2/pi)*(x + 0.044715 x^3)))/2",
    ),
    _numeric(
        11,
        "fast-exp",
        wrong.fast_exp,
        "e^x of x*(1 + 8 ULP): a relative error that grows with |x|",
    ),
    _numeric(
        11,
        "fast-exp-short-constant",
        wrong.fast_exp_short_constant,
        "2^(x*1.4427), log2(e) cut after four decimals",
        precisions=("fp32",),
    ),
    _property(
        "neighbours",
        wrong.neighbours,
        "stabilized by the whole tensor's maximum: large neighbours wipe out small results",
        ranks=_WITH_AXES,
        spared=_AS_BAD_AS_COMPOSED,
    ),
    _property(
        "nondeterministic",
        wrong.nondeterministic,
        "relative noise of up to 16 to 32 ULP, another in each run of a session",
    ),
    _property(
        "unwritten-tail",
        wrong.unwritten_tail,
        "0 beyond the last full block of 256 elements, all 0 below 256",
    ),
    _property(
        "batch-ignored",
        wrong.batch_ignored,
        "only the first slice of the first axis is computed, the others are 0",
        ranks=_WITH_AXES,
    ),
    _property(
        "rank-hard-coded",
        wrong.rank_hard_coded,
        "right up to rank 1 and at rank 4, else the elements are permuted",
        ranks=(2, 3, 5, 6),
    ),
    _property(
        "position",
        wrong.position,
        "8 to 16 ULP off at odd places",
        ranks=_WITH_AXES,
    ),
    _property("nan-swallowed", wrong.nan_swallowed, "NaN becomes 0"),
    _property("negative-zero-lost", wrong.negative_zero_lost, "mish(-0) is +0"),
    _property(
        "tail-positive-zero", wrong.tail_positive_zero, "where the tail flushes, +0 in place of -0"
    ),
    _property("tail-sign-lost", wrong.tail_sign_lost, "the absolute value below -6: 0 from above"),
    _property(
        "saturates-early",
        wrong.saturates_early,
        "finite results are clamped to half of the largest finite number",
    ),
    _property(
        "minimum-too-deep",
        wrong.minimum_too_deep,
        "8 to 16 ULP below the minimum, right outside of the well",
    ),
    _property(
        "step-in-bulk",
        wrong.step_in_bulk,
        "a step of 16 to 32 ULP downwards at x = 1 and back at 1.5: not monotone",
    ),
    _property(
        "one-input-wrong",
        wrong.one_input_wrong,
        "64 ULP or more off at one single input (0.7001953125; in bf16 0.69921875)",
    ),
    _property(
        "lower-precision-table",
        wrong.lower_precision_table,
        "tanh(softplus(x)) taken from a table in bf16: fp16 disagrees with fp32",
        precisions=("fp16",),
    ),
)
"""Every mutant, in the order of the list of bugs; names are unique."""


def mutant(name: str) -> Mutant:
    """The mutant of a name. Raises ValueError for an unknown one."""
    known = {each.name: each for each in MUTANTS}
    require("mutant", name, known)
    return known[name]
