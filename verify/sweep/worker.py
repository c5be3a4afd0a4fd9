"""One unit of a sweep on one core: the engine, the digest, the oracle and the judge, in cache."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from verify.cases import Case
from verify.engines import Executor, Session
from verify.engines.onnxruntime import OnnxRuntime
from verify.judge import judge
from verify.oracle import expected
from verify.precision import Array, Precision
from verify.replay import feed
from verify.sweep import span as spans
from verify.sweep import tally as tallies
from verify.sweep.checksum import digest_of_leaves, leaves
from verify.sweep.tally import Tally
from verify.tolerances import Limits

__all__ = ["Part", "Worker", "open_single"]

# Inputs at a time: few enough for the caches, and for `in_blocks` to stay on this core.
_SLICE = 1 << 16


@dataclass(frozen=True)
class Part:
    """What was found in the units ``first`` <= unit < ``end``, one digest each.

    ``engine_seconds``: the time that the engine alone took, on one core.
    """

    first: int
    end: int
    tally: Tally
    digests: tuple[str, ...]
    engine_seconds: float


class Worker:
    """Sweeps units of a case. A context manager, which holds the engine's session."""

    def __init__(self, runner: Executor, case: Case, model: bytes, limits: Limits) -> None:
        self._case, self._limits = case, limits
        self._session = open_single(runner, model, case.precision)

    def __enter__(self) -> Worker:
        self._session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.__exit__(kind, error, trace)

    def part(self, unit: int) -> Part:
        """Sweep a unit. Raises what the engine does, and the judge's VacuousError."""
        case = self._case
        x = spans.inputs(spans.whole(case.precision), unit)
        spent, found = 0.0, []
        sums: dict[str, list[Array]] = {}
        for start in range(0, len(x), _SLICE):
            some = x[start : start + _SLICE]
            fed = feed(some, case.context)
            began = time.perf_counter()
            outputs = self._session.run(fed)
            spent += time.perf_counter() - began
            for name, output in outputs.items():
                sums.setdefault(name, []).append(leaves(output, case.precision))
            judgement = judge(
                expected(case.context, some, case.precision),
                outputs,
                some,
                case.precision,
                self._limits,
                whole_sample=False,
                few=tallies.FEW,
            )
            found.append(tallies.of(judgement))
        digest = digest_of_leaves({name: np.concatenate(parts) for name, parts in sums.items()})
        return Part(unit, unit + 1, tallies.merge(found), (digest,), spent)


def open_single(runner: Executor, model: bytes, precision: Precision) -> Session:
    """A session whose results don't depend on the machine's number of cores.

    ONNX Runtime divides a tensor by the number of its threads, and computes what is left at the
    end of a share with other code than the rest. Here it has one thread.
    """
    if not (isinstance(runner, OnnxRuntime) and runner.provider == "cpu"):
        return runner.open(model, precision)
    return _OneThread(model)


class _OneThread:
    """ONNX Runtime's CPU provider itself: what a runner adds to a call would be timed with it."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        self._names = [output.name for output in self._session.get_outputs()]

    def __enter__(self) -> _OneThread:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._session

    def run(self, x: Array) -> dict[str, Array]:
        """Run the model once; fp32 or fp16, as the provider has no Mish in bf16."""
        return dict(zip(self._names, self._session.run(None, {"x": x}), strict=True))
