"""TensorRT-RTX, which parses models and builds plans on a CPU too."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from verify.engines import plan
from verify.engines.base import Built, EngineFailure, Refused, Status, installed_version
from verify.engines.nvidia import gpu
from verify.precision import Precision

__all__ = ["TensorrtRtx"]


class TensorrtRtx:
    """The engine ``tensorrt_rtx``."""

    name = "tensorrt_rtx"

    def status(self) -> Status:
        """Builds wherever its wheel is installed."""
        version = installed_version("tensorrt-rtx")
        if not version:
            return Status(
                self.name,
                "",
                False,
                False,
                "",
                "the package tensorrt-rtx is not installed",
                "pip install 'mish-verify[rtx]'",
            )
        found = gpu()
        if isinstance(found, str):
            reason = f"{found}; plans are built, not executed"
        else:
            reason = f"executing on {found.name} is not supported yet; plans are built"
        return Status(self.name, version, False, True, "", reason, "a machine with an RTX GPU")

    def build(
        self, models: Sequence[bytes], precisions: Sequence[Precision]
    ) -> list[Built | Refused | EngineFailure]:
        """Parse, inspect and build each model in a process of TensorRT-RTX's own.

        Polygraphy reads the flavour of TensorRT once, when it is imported; and a parser or
        builder that aborts takes only that process with it.
        """
        results: list[Built | Refused | EngineFailure] = []
        pending = list(zip(models, precisions, strict=True))
        while pending:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, context, plan.use_rtx) as pool:
                futures = [pool.submit(plan.build, model, p.name) for model, p in pending]
                try:
                    for future in futures:
                        results.append(_outcome(future))
                        if isinstance(future.exception(), BrokenProcessPool):
                            break
                except BaseException:  # nobody wants the plans under way any more
                    for process in multiprocessing.active_children():
                        process.kill()
                    pool.shutdown(cancel_futures=True)
                    raise
            pending = pending[len(results) - (len(models) - len(pending)) :]
        return results


def _outcome(future: Future[Built | Refused | EngineFailure]) -> Built | Refused | EngineFailure:
    try:
        return future.result()
    except BrokenProcessPool:
        return EngineFailure("TensorRT-RTX aborted its process")
    except Exception as error:  # whatever a build raises is its own verdict
        return EngineFailure(f"{type(error).__name__}: {error}")
