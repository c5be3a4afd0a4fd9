"""What TensorRT's parser made of a model, and what it said."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from verify.precision import by_name

__all__ = ["network_fault", "words_of"]


def network_fault(network: Any, precision: str, outputs: Collection[str] | None = None) -> str:
    """What is wrong with a parsed network, empty if nothing is.

    It must have the input ``x``, the model's outputs (any but none by default), every one of
    them in the model's type, and at least one layer.
    """
    wanted = {"fp32": "FLOAT", "fp16": "HALF", "bf16": "BF16"}[by_name(precision).name]
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    results = [network.get_output(i) for i in range(network.num_outputs)]
    named = {tensor.name for tensor in results}
    right = bool(named) if outputs is None else named == set(outputs)
    if [tensor.name for tensor in inputs] != ["x"] or not right:
        found = [tensor.name for tensor in inputs]
        return f"the network has inputs {found} and outputs {sorted(named)}"
    if not network.num_layers:
        return "the network has no layers"
    for tensor in (*inputs, *results):
        kind = str(tensor.dtype).rsplit(".", 1)[-1]
        if kind != wanted:
            return f"tensor {tensor.name} is {kind} in the network, expected {wanted}"
    return ""


def words_of(log: str) -> str:
    """The parser's or builder's own sentence in Polygraphy's log, on one line; may be empty."""
    found = re.findall(r"Assertion failed: [^\n]*|UNSUPPORTED_NODE: [^\n]*", log)
    lines = found or [line for line in log.splitlines() if line.startswith("[E]")]
    return " ".join(lines[0].split()) if lines else ""
