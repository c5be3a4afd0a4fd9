"""Running a model on the two engines that every machine has, and a plain Mish to compare with.

Written apart from the suite's own engines and oracle: tests of the models import neither.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

import models

# Has no types; imported like this, no checker asks for them.
onnxruntime: Any = importlib.import_module("onnxruntime")

Array = npt.NDArray[Any]
# Widening a signaling NaN counts as an invalid operation; with warnings as errors it must be said.
Run = Callable[[ModelProto, str, Array], list[Array]]
Infer = Callable[[Array], list[Array]]
Load = Callable[[ModelProto, str], Infer]
Judge = Callable[[Array, Array, str], Array]

DTYPES: dict[str, Any] = {"fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16}
FRACTION_BITS = {"fp32": 23, "fp16": 10, "bf16": 7}
LEAST_EXPONENTS = {"fp32": -126, "fp16": -14, "bf16": -126}


def _load(model: ModelProto, engine: str) -> Infer:
    if engine == "reference":
        evaluator = ReferenceEvaluator(model)

        def evaluate(x: Array) -> list[Array]:
            # Overflow and NaN are what many of these models are about.
            with np.errstate(all="ignore"):
                return list(evaluator.run(None, {"x": x}))

        return evaluate
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        models.serialize(model), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: list(session.run(None, {"x": x}))


def _run(model: ModelProto, engine: str, x: Array) -> list[Array]:
    return _load(model, engine)(x)


@np.errstate(invalid="ignore", over="ignore")
def _mish(x: Array) -> Array:
    wide = x.astype(np.float64)
    e = np.exp(np.minimum(wide, 300))
    n = e * (e + 2)
    return np.asarray(wide * (n / (n + 2)))


@np.errstate(invalid="ignore", over="ignore")
def _ulp_errors(y: Array, x: Array, precision: str) -> Array:
    """The errors of y = mish(x) in ULP; inf for a wrong NaN, infinity or sign of zero."""
    actual, expected = y.astype(np.float64), _mish(x)
    size = np.abs(expected)
    normal = np.isfinite(size) & (size > 0)
    exponents = np.floor(np.log2(np.where(normal, size, 1)))
    least = LEAST_EXPONENTS[precision]
    exponents = np.where(normal, np.maximum(exponents, least), least)
    errors = np.abs(actual - expected) * 2.0 ** (FRACTION_BITS[precision] - exponents)
    errors = np.where(np.isnan(actual) & np.isnan(expected), 0.0, errors)
    same = actual == expected
    zeros = same & (actual == 0) & (np.signbit(actual) != np.signbit(expected))
    errors = np.where(same, 0.0, errors)
    return np.asarray(np.where(np.isnan(errors) | zeros, np.inf, errors))


@np.errstate(invalid="ignore")
def _inputs(precision: str) -> Array:
    """All 16-bit values of the precision; for fp32 all of fp16 and bf16, widened.

    Some NaNs are left out, so that no block size divides the count.
    """
    bits = np.arange(65536, dtype=np.uint16)
    if precision == "fp32":
        values = [bits.view(DTYPES[name]).astype(np.float32) for name in ("bf16", "fp16")]
        return np.concatenate(values)[:-1000]
    return np.asarray(bits.view(DTYPES[precision])[:-1])


@pytest.fixture(scope="session")
def load() -> Load:
    """load(model, engine): a function from x to the outputs, in one session."""
    return _load


@pytest.fixture(scope="session")
def run() -> Run:
    """run(model, engine, x): the outputs in the model's order."""
    return _run


@pytest.fixture(scope="session")
def mish() -> Callable[[Array], Array]:
    """mish(x) in float64; NaN for −inf."""
    return _mish


@pytest.fixture(scope="session")
def ulp_errors() -> Judge:
    """ulp_errors(y, x, precision) against mish(x)."""
    return _ulp_errors


@pytest.fixture(scope="session")
def inputs() -> Callable[[str], Array]:
    """inputs(precision): one flat array of many values, NaN and infinities among them."""
    return _inputs


@pytest.fixture(scope="session")
def dtypes() -> dict[str, Any]:
    return DTYPES
