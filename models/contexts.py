"""The contexts: what stands around Mish.

A context is a function that adds a whole graph for one Mish: input ``x``, outputs named below.
Except in `conv` the input's shape is `shape_of(rank)` and every output has the same one.
"""

from __future__ import annotations

from collections.abc import Callable

from models.forms import Mish
from models.graph import Graph, Scope, Shape
from models.names import CHAIN_LENGTH, CONV_WEIGHTS, INNER_DIMS

Context = Callable[[Graph, Mish], None]


def shape_of(context: str, rank: int) -> Shape:
    """The shape of x: the first axis dynamic, the rest out of `INNER_DIMS`, or () for rank 0."""
    if context == "conv":
        return ("N", 1, 1, 1)
    return ("N", *INNER_DIMS[: rank - 1]) if rank else ()


def alone(graph: Graph, mish: Mish) -> None:
    """Add y = mish(x)."""
    x = graph.input("x", graph.shape)
    mish(Scope(graph, "mish_0"), x, graph.output("y", graph.shape))


def chain(graph: Graph, mish: Mish) -> None:
    """Add y = mish(mish(…x)), `CHAIN_LENGTH` times."""
    tensor = graph.input("x", graph.shape)
    last = CHAIN_LENGTH - 1
    for index in range(last):
        after = graph.tensor(f"link_{index}", graph.shape)
        mish(Scope(graph, f"mish_{index}"), tensor, after)
        tensor = after
    mish(Scope(graph, f"mish_{last}"), tensor, graph.output("y", graph.shape))


def residual(graph: Graph, mish: Mish) -> None:
    """Add y = x + mish(x)."""
    x = graph.input("x", graph.shape)
    inner = graph.tensor("mish", graph.shape)
    mish(Scope(graph, "mish_0"), x, inner)
    Scope(graph, "residual")("Add", x, inner, output=graph.output("y", graph.shape))


def branch(graph: Graph, mish: Mish) -> None:
    """Add y = mish(x), neg = −y, abs = |y|: y is used twice and marked, and the users are exact."""
    x = graph.input("x", graph.shape)
    y = graph.output("y", graph.shape)
    mish(Scope(graph, "mish_0"), x, y)
    users = Scope(graph, "branch")
    users("Neg", y, output=graph.output("neg", graph.shape))
    users("Abs", y, output=graph.output("abs", graph.shape))


def conv(graph: Graph, mish: Mish) -> None:
    """Add y[:, c] = mish(x·CONV_WEIGHTS[c]): x is (N, 1, 1, 1), y (N, 2, 1, 1), no bias."""
    channels = len(CONV_WEIGHTS)
    shape: Shape = ("N", channels, 1, 1)
    x = graph.input("x", graph.shape)
    weights = graph.initializer("weights", [[[[weight]]] for weight in CONV_WEIGHTS])
    product = graph.tensor("product", shape)
    Scope(graph, "conv")("Conv", x, weights, output=product, kernel_shape=[1, 1])
    mish(Scope(graph, "mish_0"), product, graph.output("y", shape))


def context(name: str) -> Context:
    """The context of a name out of `CONTEXTS`."""
    known: dict[str, Context] = {
        "alone": alone,
        "chain": chain,
        "residual": residual,
        "branch": branch,
        "conv": conv,
    }
    return known[name]
