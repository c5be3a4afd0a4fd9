"""What executes: one module per engine, each importing its library only when it is used."""

from __future__ import annotations

from verify.engines.base import (
    Builder,
    Built,
    EngineFailure,
    Executor,
    Lacking,
    Refused,
    RunFailure,
    Session,
    Status,
)
from verify.errors import InputError

__all__ = [
    "Builder",
    "Built",
    "EngineFailure",
    "Executor",
    "Lacking",
    "Refused",
    "RunFailure",
    "Session",
    "Status",
    "engine",
]


def engine(name: str) -> Executor | Builder:
    """The engine called ``name``; raise InputError for an unknown one."""
    if name == "reference":
        from verify.engines.reference import Reference

        return Reference()
    if name == "onnxruntime":
        from verify.engines.onnxruntime import OnnxRuntime

        return OnnxRuntime()
    if name == "tensorrt_rtx":
        from verify.engines.tensorrt_rtx import TensorrtRtx

        return TensorrtRtx()
    if name == "tensorrt":
        from verify.engines.tensorrt import Tensorrt

        return Tensorrt()
    raise InputError(f"unknown engine {name!r}")
