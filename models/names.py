"""What can be asked for, and how it is named. Imports nothing: a command line must start fast."""

from __future__ import annotations

from collections.abc import Iterable

FORMS = ("op", "composed", "exp_log", "rational", "plugin")
CONTEXTS = ("alone", "chain", "residual", "branch", "conv")
PRECISIONS = ("fp32", "fp16", "bf16")
RANKS = (0, 1, 2, 3, 4, 5, 6)

INNER_DIMS = (3, 5, 2, 2, 1)
"""The fixed sizes behind the dynamic first axis: rank 3 is ``(N, 3, 5)``, rank 6 uses all five."""

CHAIN_LENGTH = 8
"""How many Mishes the context ``chain`` has, one behind the other."""

CONV_WEIGHTS = (1.0, -0.5)
"""One 1x1 kernel per output channel. Powers of two, so that each product is exact unless it is
subnormal."""

CONV_RANK = 4

PLUGIN_DOMAIN = "mish"
"""The ONNX domain of the plugin's node. TensorRT looks a plugin up by its operator's name only."""

SUFFIX_NO_FUNCTION = "-no-function"


def require(argument: str, value: object, allowed: Iterable[object]) -> None:
    """Raise ValueError, naming the argument and what is allowed, unless `value` is allowed."""
    choices = tuple(allowed)
    # True == 1, but a rank of True is a mistake.
    if isinstance(value, bool) or value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{argument}: {value!r} is not one of {listed}")


def ranks_of(context: str) -> tuple[int, ...]:
    """The ranks of x in which a context exists: a convolution's images have rank 4."""
    require("context", context, CONTEXTS)
    return (CONV_RANK,) if context == "conv" else RANKS


def resolve_rank(context: str, rank: int | None) -> int:
    """The rank to build: the natural one for None (4 for conv, otherwise 1).

    Raises ValueError for a rank in which the context does not exist.
    """
    allowed = ranks_of(context)
    if rank is None:
        return CONV_RANK if context == "conv" else 1
    require(f"rank (of context {context})", rank, allowed)
    return rank


def file_name(
    form: str, context: str, precision: str, *, rank: int | None = None, body: bool = True
) -> str:
    """The name of a model's file, such as ``mish-composed-alone-fp16-rank1.onnx``.

    The form `plugin` without its function ends in ``-no-function.onnx``. Raises ValueError for
    anything that `build` would refuse.
    """
    require_model(form, context, precision, body)
    rank = resolve_rank(context, rank)
    suffix = "" if body else SUFFIX_NO_FUNCTION
    return f"mish-{form}-{context}-{precision}-rank{rank}{suffix}.onnx"


def require_model(form: str, context: str, precision: str, body: bool) -> None:
    """Raise ValueError unless such a model exists: only the form `plugin` can lack a body."""
    require("form", form, FORMS)
    require("context", context, CONTEXTS)
    require("precision", precision, PRECISIONS)
    if not body and form != "plugin":
        raise ValueError(f"body: only the form plugin can be without a function, not {form}")
