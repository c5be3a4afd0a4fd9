"""The ONNX reference evaluator behind a Polygraphy runner.

It computes each operator in the tensor's own type, so fp16 and bf16 round and overflow after
every operator, as a typed network does.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata

from verify.engines.base import PolygraphySession, Status, installed_version
from verify.precision import BF16, Array, Precision, by_name

__all__ = ["Reference", "ReferenceRunner"]


class ReferenceRunner(BaseRunner):  # type: ignore[misc]  # Polygraphy ships no types
    """Runs a serialized ONNX model; bf16 tensors are passed and returned as uint16 bits."""

    def __init__(self, model: bytes, name: str = "reference") -> None:
        super().__init__(name=name, prefix="reference-runner")
        self._model = model

    def activate_impl(self) -> None:
        """Parse the model."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        proto = onnx.load_model_from_string(self._model)
        self.evaluator = ReferenceEvaluator(proto)
        self._types = {
            value.name: value.type.tensor_type.elem_type
            for value in (*proto.graph.input, *proto.graph.output)
        }

    def get_input_metadata_impl(self) -> Any:
        """Names and NumPy types of the inputs; shapes are dynamic."""
        metadata = TensorMetadata()
        for name in self.evaluator.input_names:
            dtype = np.dtype(np.uint16) if self._is_bf16(name) else _NUMPY[self._types[name]]
            metadata.add(name, dtype=dtype, shape=None)
        return metadata

    def infer_impl(self, feed_dict: dict[str, Array]) -> dict[str, Array]:
        """Evaluate the graph operator by operator."""
        feed = {
            name: array.view(BF16.dtype) if self._is_bf16(name) else array
            for name, array in feed_dict.items()
        }
        start = time.perf_counter()
        # Overflow and NaN are what is being observed, not something to warn about.
        with np.errstate(all="ignore"):
            results = self.evaluator.run(None, feed)
        self.inference_time = time.perf_counter() - start
        outputs = {}
        for name, result in zip(self.evaluator.output_names, results, strict=True):
            array = np.asarray(result)
            outputs[name] = array.view(np.uint16) if array.dtype == BF16.dtype else array
        return outputs

    def deactivate_impl(self) -> None:
        """Drop the parsed model."""
        del self.evaluator

    def _is_bf16(self, name: str) -> bool:
        return bool(self._types[name] == BF16.onnx_type)


_NUMPY = {by_name(name).onnx_type: by_name(name).dtype for name in ("fp32", "fp16")}


class Reference:
    """The engine ``reference``."""

    name = "reference"

    def status(self) -> Status:
        """Always available: onnx is a dependency."""
        return Status(self.name, installed_version("onnx"), True, False, "CPU")

    def open(self, model: bytes, precision: Precision) -> PolygraphySession:
        """A session over a `ReferenceRunner`."""
        return PolygraphySession(ReferenceRunner(model), precision)
