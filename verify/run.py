"""The main job: execute every selected case, judge it, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

import models
from verify.cases import Case, bound_by
from verify.engines import (
    Builder,
    Built,
    EngineFailure,
    Executor,
    Lacking,
    Refused,
    RunFailure,
    Session,
    engine,
)
from verify.engines.tensorrt import Tensorrt, TensorrtSession
from verify.errors import InputError
from verify.findings import BROKEN, LIMITS_CHECK, Finding, broken_down, from_judgement
from verify.judge import Judgement, VacuousError, judge
from verify.observation import Observation
from verify.oracle import View, expected
from verify.precision import Array, Precision
from verify.properties import PROPERTIES, Outcome, Sessions, Subject, check, finding
from verify.replay import Command, Request, feed, rerun, store_all, tensorrt_run
from verify.sample_observation import no_limits, observe_sample
from verify.samples import Sample, sample
from verify.tolerances import DEFAULT_FOLDER, Limits, Tolerances

__all__ = ["FAILING", "CaseResult", "Job", "model_of", "verify"]

FAILING = ("FAIL", "STALE", "ERROR")


@dataclass(frozen=True)
class Job:
    """What a run does. ``checks``: names of checks to run, empty for all of them.

    ``node``: how the plugin library under test is registered, None where none was given: the
    form ``plugin`` is then its body. ``engines`` gives an engine by its name. ``again``: the
    words behind ``python`` that repeat a case's checks, where it is not ``verify run``.
    ``beside``: properties may compare the plugin with other forms, which costs plans.
    ``observe``: keep what was measured, also where there are no limits to judge it by.
    """

    cases: tuple[Case, ...]
    tolerances: Tolerances
    seed: int
    out: Path
    checks: tuple[str, ...] = ()
    node: models.PluginNode | None = None
    engines: Callable[[str], Executor | Builder] = engine
    again: Callable[[Case], tuple[str, ...]] | None = None
    beside: bool = True
    observe: bool = False

    @property
    def own_tolerances(self) -> Path | None:
        """The folder of tolerance files, where it is not the project's."""
        folder = self.tolerances.folder
        return None if folder == DEFAULT_FOLDER else folder

    def runs(self, check: str) -> bool:
        """Whether a check was asked for."""
        return not self.checks or check in self.checks

    def is_body(self, case: Case) -> bool:
        """Whether the case runs the plugin's ONNX function instead of the plugin."""
        return case.form == "plugin" and (self.node is None or case.engine != "tensorrt")

    def bound(self, case: Case) -> Case:
        """The case whose limits bind."""
        return bound_by(case) if self.is_body(case) else case


@dataclass(frozen=True)
class CaseResult:
    """The verdict on one case, and everything it rests on.

    ``body``: the form ``plugin`` ran its ONNX function. ``layers``: of the plan.
    ``properties``: inputs that each property was tried on. ``listed``: why a listed refusal
    is to be expected. ``observed``: what was measured, where the job asks for it; a body, which
    is another form, is not observed.
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
    observed: Observation | None = None


def verify(job: Job, report: Callable[[CaseResult], None]) -> list[CaseResult]:
    """Verify every case of the job, engine by engine; ``report`` gets each result as it comes.

    Never raises for what an engine does, nor for a case without limits: that is a verdict.
    Raises InputError where a finding can't be stored.
    """
    results = []
    for name in dict.fromkeys(case.engine for case in job.cases):
        cases = [case for case in job.cases if case.engine == name]
        for result in _on_engine(job, job.engines(name), cases):
            results.append(result)
            report(result)
    return results


def _on_engine(job: Job, runner: Executor | Builder, cases: Sequence[Case]) -> Iterator[CaseResult]:
    status = runner.status()
    if status.executes and isinstance(runner, Executor):
        with Sessions(partial(_open_alone, job, runner)) as sessions:
            for case in cases:
                yield _execute(job, runner, case, sessions)
    elif status.builds and isinstance(runner, Builder):
        yield from _build(job, runner, cases)
    else:
        needs = f"; it needs {status.install}" if status.install else ""
        for case in cases:
            yield CaseResult(case, "SKIPPED", status.reason + needs)


def _open_alone(job: Job, runner: Executor, form: str, precision: Precision, rank: int) -> Session:
    """A session for a property; Refused where a plugin has no such counterpart."""
    if job.node is not None and form != "plugin":
        if not job.beside:
            raise Refused("nothing is built beside the plugin")
        try:
            job.tolerances.limits(Case(form, "alone", precision, runner.name))
        except InputError as error:  # what has no limits is nothing to compare with
            raise Refused(str(error)) from None
    return runner.open(_alone(form, precision, rank, job.node), precision)


def _execute(job: Job, runner: Executor, case: Case, sessions: Sessions) -> CaseResult:
    """The verdict on one case of an engine that executes here."""
    result = CaseResult(case, "ERROR", body=job.is_body(case))
    refusal = job.tolerances.refusal(job.bound(case))
    try:
        with runner.open(model_of(case, job.node), case.precision) as session:
            if refusal is not None:
                reason = f"{refusal.key} no longer happens"
                return replace(result, verdict="STALE", reason=reason)
            if isinstance(session, TensorrtSession):
                result = replace(result, layers=tuple(layer.kind for layer in session.layers))
            try:
                limits = job.tolerances.limits(job.bound(case), runner.status().version)
            except InputError as error:  # an engine that nobody measured yet, say
                found = _observed(job, runner, result, no_limits(case.context))
                return replace(result, reason=str(error), observed=found)
            found = _observed(job, runner, result, limits)
            result = replace(result, observed=found)
            return _check(job, runner, result, limits, session, sessions)
    except InputError:
        raise
    except Lacking as words:
        return replace(result, verdict="SKIPPED", reason=str(words))
    except Refused as words:
        if refusal is None:
            return replace(result, reason=f"refused, and not listed: {words}")
        if refusal.words not in str(words):
            return replace(result, reason=f"refused for another reason: {words}")
        reason = f"refused: {words}"
        return replace(result, verdict="SKIPPED", reason=reason, listed=refusal.reason)
    except (EngineFailure, VacuousError) as error:
        return replace(result, reason=str(error))
    except Exception as error:  # an engine may raise anything; that is a verdict too
        return replace(result, reason=f"{type(error).__name__}: {error}")


def _observed(job: Job, runner: Executor, result: CaseResult, limits: Limits) -> Observation | None:
    if not job.observe or result.body:
        return None
    case = result.case
    sampled = _sample(case.precision, job.seed)
    try:
        return observe_sample(runner, case, model_of(case, job.node), limits, sampled)[0]
    except RunFailure:  # the checks will tell
        return None


def _check(
    job: Job,
    runner: Executor,
    result: CaseResult,
    limits: Limits,
    session: Session,
    sessions: Sessions,
) -> CaseResult:
    """Judge the sample, try the properties, and store what they find with its replay."""
    case = result.case
    judgement: Judgement | None = None
    requests: list[Request] = []
    others: list[Finding] = []

    def request(finding: Finding, x: Array, views: Sequence[View]) -> Request:
        model = model_of(case, job.node)
        if x.ndim != 1:
            model = _alone(case.form, case.precision, x.ndim, job.node)
        opened = partial(runner.open, model, case.precision)
        model, command = _replayed(runner, model, case.precision)
        return Request(finding, model, x, views, limits, opened, command)

    def again(finding: Finding, untried: str = "") -> Finding:
        words = () if job.again is None else job.again(case)
        return rerun(finding, job.seed, job.own_tolerances, words, untried)

    def broke(check: str, error: RunFailure, samples: int = 0) -> None:
        # What breaks down may hang: one line shows it.
        shown = any(finding.kind == BROKEN for finding in others)
        untried = "another shows how it breaks down" if shown else ""
        others.append(again(broken_down(case, check, str(error), samples), untried))

    inputs = _sample(case.precision, job.seed)
    if job.runs(LIMITS_CHECK):
        views = _expected(case.context, case.precision, job.seed)
        try:
            outputs = session.run(feed(inputs.values, case.context))
        except RunFailure as error:  # the other checks still run
            broke(LIMITS_CHECK, error, inputs.count)
        else:
            judgement = judge(views, outputs, inputs.values, case.precision, limits)
            requests += [request(f, inputs.values, views) for f in from_judgement(case, judgement)]
    outcomes: list[Outcome] = []
    broken: list[str] = []
    if case.context == "alone":
        subject = Subject(case, lambda c: job.tolerances.limits(job.bound(c)), sessions)
        for prop in (prop for prop in PROPERTIES if job.runs(prop.name)):
            try:
                outcomes += check(subject, [prop], job.seed)
            except InputError:
                raise
            except RunFailure as error:
                broke(prop.name, error)
            except Exception as error:  # the other checks and their findings still count
                broken.append(f"{prop.name}: {type(error).__name__}: {error}")
        for falsified in (outcome.falsified for outcome in outcomes):
            if falsified is None:
                continue
            found = finding(case, falsified)
            values = _breach(found, falsified.x, subject, limits)
            if values is None:
                others.append(again(found))
            else:
                requests.append(request(values, falsified.x, _views(falsified.x, case)))
    if judgement is None and not outcomes and not broken and not others:
        raise VacuousError("no check applies")
    findings = (*store_all(requests, job.out / "findings"), *others)
    verdict, reason = _verdict(judgement, findings)
    if broken:
        verdict = verdict if findings else "ERROR"
        reason = "; ".join([*([reason] if findings else []), *broken])
    return replace(
        result,
        verdict=verdict,
        reason=reason,
        samples=inputs.count if judgement else sum(outcome.inputs for outcome in outcomes),
        coverage=inputs.coverage if judgement else "",
        judgement=judgement,
        properties={outcome.property.name: outcome.inputs for outcome in outcomes},
        findings=findings,
    )


def _breach(found: Finding, x: Array, subject: Subject, limits: Limits) -> Finding | None:
    """The finding of a property, told as one about values, if its own input breaks a limit.

    None where it does not: what replays must be the fault that the finding tells of.
    """
    flat = np.ascontiguousarray(x).reshape(-1)
    if found.point is None or not len(flat):
        return None
    try:
        outputs = {"y": subject.run(x)}
        views = _views(x, found.case)
        judged = judge(views, outputs, flat, found.case.precision, limits, whole_sample=False)
    except Exception:  # what can't be run again as it was is not about values
        return None
    for breach in judged.breaches:
        if breach.kind == found.kind and breach.worst.x_bits == found.point.x_bits:
            return replace(found, point=breach.worst, band=breach.band, limit=breach.limit)
    return None


def _views(x: Array, case: Case) -> tuple[View, ...]:
    return expected(case.context, np.ascontiguousarray(x).reshape(-1), case.precision)


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


def _build(job: Job, runner: Builder, cases: Sequence[Case]) -> Iterator[CaseResult]:
    built = runner.build([model_of(case) for case in cases], [c.precision for c in cases])
    for case, outcome in zip(cases, built, strict=True):
        refusal = job.tolerances.refusal(bound_by(case))
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


def model_of(case: Case, node: models.PluginNode | None = None) -> bytes:
    """The case's model, serialized; ``node`` says how the plugin is registered."""
    return models.serialize(models.build(case.form, case.context, case.precision.name, node=node))


@lru_cache(maxsize=64)
def _alone(
    form: str, precision: Precision, rank: int, node: models.PluginNode | None = None
) -> bytes:
    return models.serialize(models.build(form, "alone", precision.name, rank=rank, node=node))


def _replayed(runner: Executor, model: bytes, precision: Precision) -> tuple[bytes, Command | None]:
    """The model as the engine really builds it, and the command where it needs one of its own."""
    if not isinstance(runner, Tensorrt):
        return model, None
    wanted = runner.replay(model, precision)
    return wanted.model, tensorrt_run(wanted)


@lru_cache(maxsize=4)
def _sample(precision: Precision, seed: int) -> Sample:
    return sample(precision, seed)


@lru_cache(maxsize=8)
def _expected(context: str, precision: Precision, seed: int) -> tuple[View, ...]:
    return expected(context, _sample(precision, seed).values, precision)
