"""Parse a model and build a plan with Polygraphy; runs in a process of one TensorRT flavour."""

from __future__ import annotations

import contextlib
import io
import os
import signal

from verify.engines.base import Built, EngineFailure, Refused
from verify.engines.parsing import network_fault, words_of

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
        return Refused(words_of(said.getvalue()) or str(error))
    outputs = {value.name for value in onnx.load_model_from_string(model).graph.output}
    fault = network_fault(network, precision, outputs)
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
        return Refused(words_of(said.getvalue()) or str(error))
    size = int(plan.nbytes)
    return Built(layers, size) if size else EngineFailure("the plan is empty")
