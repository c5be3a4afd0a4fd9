"""Parse a model and build a plan with Polygraphy; runs in a process of one TensorRT flavour."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal

from verify.engines.base import Built, EngineFailure, Refused
from verify.precision import by_name

__all__ = ["build", "use_rtx"]

# The profile of the dynamic first axis; every sample fits.
_PROFILE = {"min": 1, "opt": 4096, "max": 1 << 22}


def use_rtx() -> None:
    """Make this process's Polygraphy drive TensorRT-RTX; before Polygraphy is imported."""
    os.environ["POLYGRAPHY_USE_TENSORRT_RTX"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def build(model: bytes, precision: str) -> Built | Refused | EngineFailure:
    """Parse ``model``, inspect the network, build the plan.

    An inspection that fails is an EngineFailure: the network must have one input and all
    outputs of the model in the model's type, and at least one layer.
    """
    import onnx
    from polygraphy.backend.trt import (
        CreateConfig,
        EngineBytesFromNetwork,
        NetworkFromOnnxBytes,
        Profile,
    )
    from polygraphy.exception import PolygraphyException

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            builder, network, parser = NetworkFromOnnxBytes(model, strongly_typed=True)()
    except PolygraphyException as error:
        return Refused(_words(said.getvalue()) or str(error))
    fault = _inspect(network, onnx.load_model_from_string(model), precision)
    if fault:
        return EngineFailure(fault)
    layers = tuple(str(network.get_layer(i).type).rsplit(".", 1)[-1] for i in range(len(network)))
    profile = Profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if -1 in tuple(tensor.shape):
            shapes = [
                tuple(size if axis == -1 else axis for axis in tensor.shape)
                for size in _PROFILE.values()
            ]
            profile.add(tensor.name, *shapes)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            config = CreateConfig(profiles=[profile] if profile else None)
            # The network is passed as it was inspected, not parsed again.
            plan = EngineBytesFromNetwork((builder, network, parser), config=config)()
    except PolygraphyException as error:
        return Refused(_words(said.getvalue()) or str(error))
    size = int(plan.nbytes)
    return Built(layers, size) if size else EngineFailure("the plan is empty")


def _inspect(network: object, model: object, precision: str) -> str:
    """What is wrong with the parsed network, empty if nothing is."""
    wanted = {"fp32": "FLOAT", "fp16": "HALF", "bf16": "BF16"}[by_name(precision).name]
    inputs = [network.get_input(i) for i in range(network.num_inputs)]  # type: ignore[attr-defined]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]  # type: ignore[attr-defined]
    named = {tensor.name for tensor in outputs}
    expected = {value.name for value in model.graph.output}  # type: ignore[attr-defined]
    if [tensor.name for tensor in inputs] != ["x"] or named != expected:
        return f"the network has inputs {inputs} and outputs {sorted(named)}"
    if not network.num_layers:  # type: ignore[attr-defined]
        return "the network has no layers"
    for tensor in (*inputs, *outputs):
        kind = str(tensor.dtype).rsplit(".", 1)[-1]
        if kind != wanted:
            return f"tensor {tensor.name} is {kind} in the network, expected {wanted}"
    return ""


def _words(log: str) -> str:
    """The parser's own sentence in Polygraphy's log, on one line."""
    found = re.findall(r"Assertion failed: [^\n]*|UNSUPPORTED_NODE: [^\n]*", log)
    lines = found or [line for line in log.splitlines() if line.startswith("[E]")]
    return " ".join(lines[0].split()) if lines else ""
