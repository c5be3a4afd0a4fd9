"""The table of properties."""

from __future__ import annotations

from verify.bands import BANDS
from verify.errors import InputError
from verify.findings import number
from verify.oracle import MINIMUM, MINIMUM_AT
from verify.properties import agreement, values
from verify.properties.base import FINITE_BANDS, Property
from verify.properties.shape import SHAPES, shapes
from verify.properties.strategies import shape_drafts

__all__ = ["PROPERTIES", "by_name"]

_RIGHT = tuple(BANDS[BANDS.index("well") : -1])

PROPERTIES: tuple[Property, ...] = (
    Property(
        "finite",
        "A finite x has a finite result, never NaN.",
        "none",
        "rational-unguarded",
        values.finite,
        bands=FINITE_BANDS,
        examples=10,
    ),
    Property(
        "minimum",
        f"No result is below Mish's minimum, {number(MINIMUM)}.",
        "twice the limit at x",
        "minimum-too-deep",
        values.minimum,
        bands=("negative tail", "well", "origin"),
        examples=8,
    ),
    Property(
        "sign",
        "No result is a number of the other sign than x's.",
        "none",
        "tail-sign-lost",
        values.sign,
        bands=FINITE_BANDS,
        examples=8,
    ),
    Property(
        "identity",
        "A large x is its own result, up to the largest finite number.",
        "the limit of the band identity",
        "saturates-early",
        values.identity,
        bands=("identity",),
        examples=8,
    ),
    Property(
        "vanishing",
        "Far below zero the result is 0 from below: -0 or a tiny negative number, never +0.",
        "the limit of the flush tail, below zero only",
        "tail-positive-zero",
        values.vanishing,
        bands=("flush tail",),
        examples=8,
    ),
    Property(
        "monotone",
        f"Right of {number(MINIMUM_AT)} no result is below that of any smaller x.",
        "twice the limit: that of the one x and that of the other",
        "step-in-bulk",
        values.monotone,
        bands=_RIGHT,
        examples=12,
    ),
    Property(
        "nonfinite",
        "NaN stays NaN and +inf stays +inf, whatever stands beside them.",
        "none",
        "nan-swallowed",
        values.nonfinite,
        bands=("nonfinite", "negative tail", "bulk", "identity"),
        examples=5,
    ),
    Property(
        "zero-sign",
        "A zero is its own result, with its sign.",
        "none",
        "negative-zero-lost",
        values.zero_sign,
        bands=("origin", "bulk", "identity"),
        examples=4,
    ),
    Property(
        "position",
        "An element's result depends neither on its position or neighbours nor on the shape or "
        "the batch.",
        "bitwise on reference and for plugins on TensorRT; elsewhere twice the limit, because "
        "vector kernels treat the end of a block otherwise (ONNX Runtime: up to 7 ULP)",
        "position",
        agreement.position,
        examples=8,
    ),
    Property(
        "repeatable",
        "Two runs of one input agree bitwise.",
        "none",
        "nondeterministic",
        agreement.repeatable,
        examples=6,
    ),
    Property(
        "precisions",
        "A result in fp16 or bf16 agrees with that in fp32 of the same form and engine.",
        "the limits of both precisions added",
        "lower-precision-table",
        agreement.precisions,
        bands=FINITE_BANDS,
        counterpart=agreement.higher,
        examples=10,
    ),
    Property(
        "forms",
        "Forms agree with each other: each with composed, composed with op.",
        "the limits of both forms added",
        "silu",
        agreement.anchored,
        bands=FINITE_BANDS,
        counterpart=agreement.anchor,
        examples=10,
    ),
    Property(
        "shapes",
        "Results are right, and as many, in ranks 0 to 6, for no elements, and for sizes around "
        "powers of two.",
        "the limits",
        "rank-hard-coded",
        shapes,
        drafts=shape_drafts,
        explicit=SHAPES,
        examples=8,
    ),
)


def by_name(name: str) -> Property:
    """The property called ``name``; raise InputError with what is allowed."""
    for each in PROPERTIES:
        if each.name == name:
            return each
    allowed = ", ".join(each.name for each in PROPERTIES)
    raise InputError(f"unknown property {name!r}; allowed: {allowed}")
