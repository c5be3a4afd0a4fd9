"""What was found is told, whatever else breaks down; engines here fail on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import models
from models.mutants import mutant
from verify.cases import parse
from verify.engines import EngineFailure, Executor, RunFailure, Session, Status
from verify.engines.reference import Reference
from verify.findings import Finding
from verify.precision import Array, Precision
from verify.replay import rerun
from verify.run import CaseResult, Job, verify
from verify.tolerances import load

CASE = parse("composed-alone-fp16-reference")


_ERROR = EngineFailure("broke down on purpose")


class Breaking:
    """The reference evaluator, which raises for some inputs; ``wrong`` takes the form's place."""

    name = "reference"

    def __init__(
        self,
        breaks: Callable[[Array], bool],
        wrong: str = "",
        error: Exception = _ERROR,
    ) -> None:
        self._breaks, self._wrong, self._error = breaks, wrong, error

    def status(self) -> Status:
        return replace(Reference().status(), engine=self.name)

    def open(self, model: bytes, precision: Precision) -> Session:
        import onnx

        proto = onnx.load_model_from_string(model)
        if self._wrong and "composed" in proto.graph.name:
            rank = len(proto.graph.input[0].type.tensor_type.shape.dim)
            model = models.serialize(mutant(self._wrong).build(precision.name, rank=rank))
        return Broken(Reference().open(model, precision), self._breaks, self._error)


class Broken:
    def __init__(self, session: Session, breaks: Callable[[Array], bool], error: Exception) -> None:
        self._session, self._breaks, self._error = session, breaks, error

    def __enter__(self) -> Broken:
        self._session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.__exit__(kind, error, trace)

    def run(self, x: Array) -> dict[str, Array]:
        if self._breaks(x):
            raise self._error
        return self._session.run(x)


def result(engine: Executor, folder: Path, *checks: str) -> CaseResult:
    job = Job((CASE,), load(), 0, folder, checks, engines=lambda _: engine)
    (found,) = verify(job, lambda _: None)
    return found


def test_a_property_that_breaks_down_loses_no_finding(tmp_path: Path) -> None:
    found = result(Breaking(lambda x: x.size == 63, "silu"), tmp_path, "limits", "shapes")
    assert found.verdict == "FAIL"
    assert any(f.check == "limits" for f in found.findings)
    assert found.judgement is not None
    assert found.judgement.breaches


def test_a_right_form_on_an_engine_that_breaks_down_is_no_pass(tmp_path: Path) -> None:
    found = result(Breaking(lambda x: x.size < 60_000), tmp_path, "limits", "sign")
    assert found.verdict == "ERROR"
    assert "sign: EngineFailure: broke down on purpose" in found.reason
    assert found.judgement is not None, "the sample was judged"


def test_a_sample_that_ends_the_engine_is_a_finding_and_the_properties_still_run(
    tmp_path: Path,
) -> None:
    died = RunFailure("TensorRT's process was ended by SIGSEGV")
    engine = Breaking(lambda x: x.size > 60_000, error=died)
    found = result(engine, tmp_path, "limits", "sign", "finite")
    assert found.verdict == "FAIL"
    assert found.reason == f"it broke down: {died}"
    assert [f.check for f in found.findings] == ["limits"]
    assert found.findings[0].lines()[0] == f"{CASE.id}: limits: it broke down: {died}"
    assert set(found.properties) == {"sign", "finite"}
    assert found.judgement is None


def test_each_check_that_ends_the_engine_is_named_and_one_is_tried_again(tmp_path: Path) -> None:
    engine = Breaking(lambda x: x.size < 60_000, error=RunFailure("hung"))
    found = result(engine, tmp_path, "limits", "sign", "finite")
    assert found.verdict == "FAIL"
    assert found.judgement is not None, "the sample was judged"
    assert [f.check for f in found.findings] == ["finite", "sign"]
    first, second = (f.replay for f in found.findings)
    assert first is not None
    assert (first.untried, first.reproduced) == ("", False), "the real engine has no such fault"
    assert second is not None
    assert second.untried


def test_a_rank_that_raises_is_a_finding(tmp_path: Path) -> None:
    found = result(Breaking(lambda x: x.ndim == 5), tmp_path, "shapes")
    assert found.verdict == "FAIL"
    assert [f.check for f in found.findings] == ["shapes"]
    replay = found.findings[0].replay
    assert replay is not None
    assert not replay.reproduced, "the real engine has no such fault"


def test_a_line_that_ends_in_an_error_shows_nothing() -> None:
    case = parse("op-alone-bf16-onnxruntime")  # an error where the refusal is not listed
    finding = Finding(case, "shapes", "told by a test", "y", "", "property", None, None, 1, 1)
    again = rerun(finding, 0)
    assert again.replay is not None
    assert not again.replay.reproduced
