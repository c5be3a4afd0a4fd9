"""ONNX Runtime behind Polygraphy's loader and runner."""

from __future__ import annotations

import os

from verify.engines.base import (
    EngineFailure,
    PolygraphySession,
    Refused,
    Status,
    installed_version,
)
from verify.engines.nvidia import driver, gpu
from verify.engines.quiet import quieten
from verify.errors import InputError
from verify.precision import Precision

__all__ = ["PROVIDER_VARIABLE", "OnnxRuntime"]

# An environment variable, because worker processes and replays must choose alike.
PROVIDER_VARIABLE = "VERIFY_ORT_PROVIDER"
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntime:
    """The engine ``onnxruntime``: the CPU provider, or the CUDA one where asked for."""

    name = "onnxruntime"

    @property
    def provider(self) -> str:
        """``cpu`` or ``cuda``; raises InputError where the variable says anything else."""
        chosen = os.environ.get(PROVIDER_VARIABLE, "cpu")
        if chosen not in _PROVIDERS:
            allowed = ", ".join(_PROVIDERS)
            raise InputError(f"{PROVIDER_VARIABLE}={chosen}: unknown provider; allowed: {allowed}")
        return chosen

    def status(self) -> Status:
        """Whether the chosen provider is there."""
        version = installed_version("onnxruntime") or installed_version("onnxruntime-gpu")
        if not version:
            return Status(
                self.name,
                "",
                False,
                False,
                "",
                "onnxruntime is not installed",
                "pip install onnxruntime",
            )
        import onnxruntime

        wanted = _PROVIDERS[self.provider]
        if wanted not in onnxruntime.get_available_providers():
            return Status(
                self.name,
                version,
                False,
                False,
                "",
                f"ONNX Runtime {version} has no {wanted}",
                "pip install onnxruntime-gpu",
            )
        found = gpu() if self.provider == "cuda" else ""
        if isinstance(found, str):
            return Status(self.name, version, True, False, self.provider.upper())
        return Status(self.name, version, True, False, f"CUDA, {found.name}", driver=driver())

    def open(self, model: bytes, precision: Precision) -> PolygraphySession:
        """A session over Polygraphy's `OnnxrtRunner`.

        Raises Refused in ONNX Runtime's words where it has no kernel or rejects the model, and
        EngineFailure where the chosen provider was dropped for another.
        """
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
        from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx

        quieten()
        onnxruntime.set_default_logger_severity(4)  # refusals are told by their exception
        try:
            session = SessionFromOnnx(model, providers=[_PROVIDERS[self.provider]])()
        except (state.NotImplemented, state.InvalidGraph, state.Fail) as error:
            raise Refused(" ".join(str(error).split())) from None
        used = session.get_providers()[0]
        if used != _PROVIDERS[self.provider]:
            raise EngineFailure(f"asked for {_PROVIDERS[self.provider]}, got {used}")
        return PolygraphySession(OnnxrtRunner(session, name="onnxruntime"), precision)
