"""Full TensorRT, which needs an NVIDIA GPU already to build a plan."""

from __future__ import annotations

from collections.abc import Sequence

from verify.engines.base import Built, EngineFailure, Refused, Status, installed_version
from verify.engines.nvidia import gpu
from verify.precision import Precision

__all__ = ["Tensorrt"]


class Tensorrt:
    """The engine ``tensorrt``."""

    name = "tensorrt"

    def status(self) -> Status:
        """Always SKIPPED for now; the reason says what is missing."""
        version = installed_version("tensorrt")
        found = gpu()
        missing = [found] if isinstance(found, str) else []
        if not version:
            missing.append("the package tensorrt is not installed")
        reason = "; ".join(missing) or "executing TensorRT is not supported yet"
        install = "" if not missing else "a machine with an NVIDIA GPU and `pip install tensorrt`"
        return Status(self.name, version, False, False, "", reason, install)

    def build(
        self, models: Sequence[bytes], precisions: Sequence[Precision]
    ) -> list[Built | Refused | EngineFailure]:
        """Not reached while the status says that nothing is built here."""
        return [EngineFailure(self.status().reason) for _ in models]
