"""The main job: execute every selected case, judge it, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import models
from verify.cases import Case
from verify.engines import Builder, Built, EngineFailure, Executor, Refused, Session, Status, engine
from verify.errors import InputError
from verify.findings import LIMITS_CHECK, Finding, from_judgement
from verify.judge import Judgement, VacuousError, judge
from verify.oracle import View, expected
from verify.precision import Array, Precision
from verify.samples import Sample, sample
from verify.tolerances import Limits, Tolerances

__all__ = ["CaseResult", "Plan", "model_of", "shaped", "verify"]

FAILING = ("FAIL", "STALE", "ERROR")


@dataclass(frozen=True)
class Plan:
    """What a run does. ``checks``: names of checks to run, empty for all of them."""

    cases: tuple[Case, ...]
    tolerances: Tolerances
    seed: int
    out: Path
    checks: tuple[str, ...] = ()
    most_replays: int = 20

    def runs(self, check: str) -> bool:
        """Whether a check was asked for."""
        return not self.checks or check in self.checks


@dataclass(frozen=True)
class CaseResult:
    """The verdict on one case, and everything it rests on.

    ``body``: the form ``plugin`` ran its ONNX function. ``layers``: of a plan that was built.
    ``properties``: inputs that each property was tried on. ``listed``: why a listed refusal
    is to be expected.
    """

    case: Case
    verdict: str
    reason: str = ""
    body: bool = False
    samples: int = 0
    coverage: str = ""
    judgement: Judgement | None = None
    layers: tuple[str, ...] = ()
    properties: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    listed: str = ""


def verify(plan: Plan, report: Callable[[CaseResult], None]) -> list[CaseResult]:
    """Verify every case of the plan, engine by engine; ``report`` gets each result as it comes.

    Never raises for what an engine does: that is a verdict. Raises InputError for tolerance
    files that lack a limit.
    """
    results = []
    for name in dict.fromkeys(case.engine for case in plan.cases):
        cases = [case for case in plan.cases if case.engine == name]
        for result in _on_engine(plan, engine(name), cases):
            results.append(result)
            report(result)
    return results


def _on_engine(
    plan: Plan, runner: Executor | Builder, cases: Sequence[Case]
) -> Iterator[CaseResult]:
    status = runner.status()
    if status.executes and isinstance(runner, Executor):
        for case in cases:
            yield _execute(plan, runner, case)
    elif status.builds and isinstance(runner, Builder):
        yield from _build(plan, runner, status, cases)
    else:
        for case in cases:
            yield CaseResult(case, "SKIPPED", status.reason)


def _execute(plan: Plan, runner: Executor, case: Case) -> CaseResult:
    """Run one case on the sample and through the properties."""
    bound = _bound(case)
    refusal = plan.tolerances.refusal(bound)
    body = case.form == "plugin"
    try:
        with runner.open(model_of(case), case.precision) as session:
            if refusal is not None:
                return CaseResult(case, "STALE", f"{refusal.key} no longer happens", body)
            limits = plan.tolerances.limits(bound)
            return replace(_judged(plan, case, limits, session, runner), body=body)
    except InputError:
        raise
    except Refused as words:
        if refusal is None:
            return CaseResult(case, "ERROR", f"refused, and not listed: {words}", body)
        if refusal.words not in str(words):
            return CaseResult(case, "ERROR", f"refused for another reason: {words}", body)
        return CaseResult(case, "SKIPPED", f"refused: {words}", body, listed=refusal.reason)
    except (EngineFailure, VacuousError) as error:
        return CaseResult(case, "ERROR", str(error), body)
    except Exception as error:  # an engine may raise anything; that is a verdict too
        return CaseResult(case, "ERROR", f"{type(error).__name__}: {error}", body)


def _judged(
    plan: Plan, case: Case, limits: Limits, session: Session, runner: Executor
) -> CaseResult:
    judgement: Judgement | None = None
    findings: tuple[Finding, ...] = ()
    inputs = _sample(case.precision, plan.seed)
    if plan.runs(LIMITS_CHECK):
        views = _expected(case.context, case.precision, plan.seed)
        outputs = session.run(shaped(inputs.values, case.context))
        judgement = judge(views, outputs, inputs.values, case.precision, limits)
        findings = from_judgement(case, judgement)
    tried: dict[str, int] = {}
    verdict, reason = _verdict(judgement, findings)
    return CaseResult(
        case,
        verdict,
        reason,
        samples=inputs.count,
        coverage=inputs.coverage,
        judgement=judgement,
        properties=tried,
        findings=findings,
    )


def _verdict(judgement: Judgement | None, findings: Sequence[Finding]) -> tuple[str, str]:
    if findings:
        return "FAIL", findings[0].message
    if judgement is not None and judgement.stale:
        return "STALE", "; ".join(f"{d.key} no longer happens" for d in judgement.stale)
    if judgement is not None and judgement.accepted:
        return "KNOWN", ", ".join(
            f"{a.count} {a.deviation.kind} ({a.deviation.key})" for a in judgement.accepted
        )
    return "PASS", ""


def _build(
    plan: Plan, runner: Builder, status: Status, cases: Sequence[Case]
) -> Iterator[CaseResult]:
    built = runner.build([model_of(case) for case in cases], [c.precision for c in cases])
    for case, outcome in zip(cases, built, strict=True):
        refusal = plan.tolerances.refusal(_bound(case))
        body = case.form == "plugin"
        if isinstance(outcome, Built):
            if refusal is not None:
                yield CaseResult(case, "STALE", f"{refusal.key} no longer happens", body)
            else:
                reason = f"{len(outcome.layers)} layers, {outcome.plan_bytes} bytes, not executed"
                yield CaseResult(case, "BUILT", reason, body, layers=outcome.layers)
        elif isinstance(outcome, Refused) and refusal and refusal.words in str(outcome):
            reason = f"refused: {outcome}"
            yield CaseResult(case, "SKIPPED", reason, body, listed=refusal.reason)
        else:
            yield CaseResult(case, "ERROR", str(outcome), body)


def model_of(case: Case) -> bytes:
    """The case's model, serialized."""
    return models.serialize(models.build(case.form, case.context, case.precision.name))


def shaped(x: Array, context: str) -> Array:
    """Flat inputs in the shape that the context's model takes: (n,), and (n, 1, 1, 1) for conv."""
    return x.reshape(-1, 1, 1, 1) if context == "conv" else x


def _bound(case: Case) -> Case:
    """The case whose limits bind: without a plugin library, ``plugin`` runs composed's body."""
    return replace(case, form="composed") if case.form == "plugin" else case


@lru_cache(maxsize=4)
def _sample(precision: Precision, seed: int) -> Sample:
    return sample(precision, seed)


@lru_cache(maxsize=8)
def _expected(context: str, precision: Precision, seed: int) -> tuple[View, ...]:
    return expected(context, _sample(precision, seed).values, precision)
