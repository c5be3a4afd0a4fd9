"""The forms: ways to write Mish in ONNX.

A form is a function that adds the nodes of one Mish to a scope: from the tensor named `x` to the
tensor named `y`, both of the graph's precision and of one shape. Misra, "Mish: A Self Regularized
Non-Monotonic Activation Function" (2019): mish(x) = x·tanh(softplus(x)), softplus(x) = ln(1+eˣ).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import FunctionProto, OperatorSetIdProto, helper

from models.graph import Graph, Scope
from models.names import PLUGIN_DOMAIN

Mish = Callable[[Scope, str, str], None]

_VERSION = "plugin_version"
_NAMESPACE = "plugin_namespace"

# TensorRT before 10.8 mixes up a function's formal names with outer tensors of the same name, so
# none of these occurs in any graph here.
_FORMAL_INPUT = "mish_in"
_FORMAL_OUTPUT = "mish_out"


@dataclass(frozen=True)
class PluginNode:
    """How the plugin is registered: its name, version and namespace, and its fields.

    Fields become attributes of the node: int, float or str. Raises ValueError for the name
    ``Mish``, which TensorRT's parsers decompose whatever the domain, and for fields that collide.
    """

    op: str = "MishExact"
    version: str = "1"
    namespace: str = ""
    fields: tuple[tuple[str, int | float | str], ...] = ()

    def __post_init__(self) -> None:
        if not self.op or self.op == "Mish":
            raise ValueError(
                f"node: op {self.op!r} is not allowed; any name but 'Mish', which TensorRT "
                "decomposes instead of using the plugin"
            )
        names = [name for name, _ in self.fields]
        taken = sorted({name for name in names if names.count(name) > 1 or not name})
        taken += [name for name in (_VERSION, _NAMESPACE) if name in names]
        if taken:
            raise ValueError(
                f"node: fields {taken} are not allowed; names must be non-empty, unique and "
                f"neither {_VERSION} nor {_NAMESPACE}"
            )

    def attributes(self) -> dict[str, int | float | str]:
        """Both attributes that TensorRT looks for, then the fields."""
        return {_VERSION: self.version, _NAMESPACE: self.namespace, **dict(self.fields)}


def op(scope: Scope, x: str, y: str) -> None:
    """The standard operator."""
    scope("Mish", x, output=y)


def composed(scope: Scope, x: str, y: str) -> None:
    """x·tanh(softplus(x)) in three operators, as exporters write it."""
    scope("Mul", x, scope("Tanh", scope("Softplus", x)), output=y)


def exp_log(scope: Scope, x: str, y: str) -> None:
    """x·tanh(log(1+eˣ)), the softplus spelled out: 1+eˣ loses the tail."""
    one = scope.constant("one", 1.0)
    softplus = scope("Log", scope("Add", one, scope("Exp", x)))
    scope("Mul", x, scope("Tanh", softplus), output=y)


def rational(scope: Scope, x: str, y: str) -> None:
    """x·(n/(n+2)) with n = eˣ(eˣ+2): exact in the tail, NaN where n overflows.

    tanh(ln w) = (w²−1)/(w²+1) with w = 1+eˣ. In this order of operators nothing but n overflows.
    """
    two = scope.constant("two", 2.0)
    e = scope("Exp", x)
    n = scope("Mul", e, scope("Add", e, two))
    scope("Mul", x, scope("Div", n, scope("Add", n, two)), output=y)


def plugin(node: PluginNode, *, body: bool = True) -> Mish:
    """The plugin's node, with an ONNX function of its name whose body is composed, or without."""

    def write(scope: Scope, x: str, y: str) -> None:
        graph = scope.graph
        known = {function.name for function in graph.functions}
        if body and node.op not in known:
            graph.functions.append(_function(node, graph))
        scope(node.op, x, output=y, domain=PLUGIN_DOMAIN, fields=node.attributes())

    return write


def form(name: str, node: PluginNode, *, body: bool = True) -> Mish:
    """The form of a name out of `FORMS`."""
    plain: dict[str, Mish] = {
        "op": op,
        "composed": composed,
        "exp_log": exp_log,
        "rational": rational,
    }
    return plain[name] if name in plain else plugin(node, body=body)


def opset(precision: str) -> OperatorSetIdProto:
    """The standard operators' version: Mish and Softplus know bfloat16 only from 22 on."""
    return helper.make_opsetid("", 22 if precision == "bf16" else 18)


def _function(node: PluginNode, graph: Graph) -> FunctionProto:
    """A function of the same name as the node, so that an engine without the plugin has a body."""
    inner = Graph(graph.precision, graph.shape)
    composed(Scope(inner, "body"), _FORMAL_INPUT, _FORMAL_OUTPUT)
    return helper.make_function(
        PLUGIN_DOMAIN,
        node.op,
        [_FORMAL_INPUT],
        [_FORMAL_OUTPUT],
        inner.nodes,
        [opset(graph.precision)],
        attributes=list(node.attributes()),
    )
