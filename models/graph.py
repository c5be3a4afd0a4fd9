"""An ONNX graph under construction: tensors typed in one precision, nodes with stable names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from onnx import FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

Shape = tuple["int | str", ...]
"""Sizes; a string names a dynamic axis. The empty shape is a scalar's."""

ELEMENT_TYPES: dict[str, int] = {
    "fp32": TensorProto.FLOAT,
    "fp16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
}
DTYPES: dict[str, np.dtype[Any]] = {
    "fp32": np.dtype(np.float32),
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
}
FRACTION_BITS = {"fp32": 23, "fp16": 10, "bf16": 7}
"""Stored bits of the significand: 1 ULP of 1.0 is 2 to the minus this."""


class Graph:
    """Collects nodes and tensors of one element type; `Scope` adds to it.

    `shape` is that of x, for whoever must know the rank.
    """

    def __init__(self, precision: str, shape: Shape) -> None:
        self.precision = precision
        self.element_type = ELEMENT_TYPES[precision]
        self.shape = shape
        self.nodes: list[NodeProto] = []
        self.functions: list[FunctionProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._inner: list[ValueInfoProto] = []

    def input(self, name: str, shape: Shape) -> str:
        """Add an input of the graph and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, self.element_type, shape))
        return name

    def output(self, name: str, shape: Shape) -> str:
        """Mark a tensor, which some node must make, as an output; return its name."""
        self._outputs.append(helper.make_tensor_value_info(name, self.element_type, shape))
        return name

    def tensor(self, name: str, shape: Shape) -> str:
        """State an inner tensor's shape, which nobody can infer behind a plugin's node."""
        self._inner.append(helper.make_tensor_value_info(name, self.element_type, shape))
        return name

    def initializer(self, name: str, values: Any, element_type: int | None = None) -> str:
        """Add a constant tensor, by default in the graph's precision, and return its name.

        One name is one constant: adding it again with the same value is fine, with another value
        a ValueError.
        """
        if element_type is None:
            element_type = self.element_type
            array = np.asarray(values, dtype=DTYPES[self.precision])
        else:
            array = np.asarray(values, dtype=helper.tensor_dtype_to_np_dtype(element_type))
        # Raw bytes: onnx's own conversion of lists to bfloat16 differs between its versions.
        little = array.astype(array.dtype.newbyteorder("<")) if array.dtype.kind in "if" else array
        made = helper.make_tensor(name, element_type, array.shape, little.tobytes(), raw=True)
        known = self._initializers.setdefault(name, made)
        if known != made:
            raise ValueError(f"initializer: {name!r} is already another constant")
        return name

    def proto(self, name: str) -> GraphProto:
        """The finished graph."""
        return helper.make_graph(
            self.nodes,
            name,
            self._inputs,
            self._outputs,
            initializer=list(self._initializers.values()),
            value_info=self._inner,
        )


class Scope:
    """Adds nodes named ``<scope>/<operator>`` to a graph.

    Called with an operator and its inputs, it returns the name of the node's only output, which
    is the node's own name unless `output` gives another. A second ``Mul`` is ``mul_1``. `fields`
    are attributes too, of any name: as keywords some would collide with those of this call.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name
        self._uses: dict[str, int] = {}

    def __call__(
        self,
        operator: str,
        *inputs: str,
        output: str | None = None,
        domain: str = "",
        fields: Mapping[str, int | float | str] | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its output."""
        base = operator.lower()
        count = self._uses.get(base, 0)
        self._uses[base] = count + 1
        name = f"{self.name}/{base}" + (f"_{count}" if count else "")
        output = name if output is None else output
        node = helper.make_node(
            operator, list(inputs), [output], name=name, domain=domain, **attributes
        )
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in (fields or {}).items()
        )
        self.graph.nodes.append(node)
        return output

    def constant(self, name: str, value: float) -> str:
        """A scalar of the graph's precision, shared by all scopes under this name."""
        return self.graph.initializer(name, value)

    def integers(self, name: str, values: int | list[int]) -> str:
        """An int64 constant, a scalar or a list."""
        return self.graph.initializer(name, values, TensorProto.INT64)
