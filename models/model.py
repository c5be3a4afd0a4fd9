"""Whole models: one form in one context in one precision, the same to the byte every time."""

from __future__ import annotations

from onnx import ModelProto, helper

from models.contexts import context as context_of
from models.contexts import shape_of
from models.forms import Mish, PluginNode, opset
from models.forms import form as form_of
from models.graph import Graph
from models.names import CONTEXTS, PLUGIN_DOMAIN, PRECISIONS, require, require_model, resolve_rank

_IR_VERSIONS = {18: 8, 22: 10}
"""The oldest IR version that goes with an opset, for the oldest TensorRT that reads it."""


def build(
    form: str,
    context: str,
    precision: str,
    *,
    rank: int | None = None,
    body: bool = True,
    node: PluginNode | None = None,
) -> ModelProto:
    """A model of input ``x`` and the context's outputs (see `models.contexts`).

    `rank` is that of x: 0 to 6, by default 1; conv has 4 only. `body` False leaves out the
    function of the form `plugin`, `node` says how the plugin is registered. Raises ValueError,
    naming the argument, for anything else.
    """
    require_model(form, context, precision, body)
    mish = form_of(form, PluginNode() if node is None else node, body=body)
    return assemble(f"mish-{form}", mish, context, precision, rank=rank)


def assemble(
    name: str, mish: Mish, context: str, precision: str, *, rank: int | None = None
) -> ModelProto:
    """Any Mish, right or wrong, in a context; the graph's name starts with `name`.

    Raises ValueError as `build` does.
    """
    require("context", context, CONTEXTS)
    require("precision", precision, PRECISIONS)
    rank = resolve_rank(context, rank)
    graph = Graph(precision, shape_of(context, rank))
    context_of(context)(graph, mish)
    return model_of(graph, f"{name}-{context}-{precision}-rank{rank}")


def model_of(graph: Graph, name: str) -> ModelProto:
    """The model of a finished graph, with the opsets that its precision and nodes need."""
    standard = opset(graph.precision)
    opsets = [standard]
    if any(node.domain == PLUGIN_DOMAIN for node in graph.nodes):
        opsets.append(helper.make_opsetid(PLUGIN_DOMAIN, 1))
    # No version, date or path goes in: files from two machines are equal.
    return helper.make_model(
        graph.proto(name),
        producer_name="mish-verify",
        ir_version=_IR_VERSIONS[standard.version],
        opset_imports=opsets,
        functions=graph.functions,
    )


def serialize(model: ModelProto) -> bytes:
    """The model's bytes, equal for equal models."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data
