"""``python -m verify gate``: what is printed and written around the gate, and its exit code."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify import gate as gates
from verify import interrupt, report
from verify import record as records
from verify.cases import Case
from verify.command import (
    can_observe,
    check_targets,
    keep,
    output_folder,
    progress_bar,
    record_of,
)
from verify.count import spaced
from verify.engines import Builder, Executor, engine, execution
from verify.engines.inspection import reformats
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.gate import Outcome
from verify.mutants import CHECKS
from verify.plumbing import device, replay, sanitizer, table
from verify.plumbing.beside import Beside
from verify.plumbing.check import Result
from verify.precision import PRECISIONS, Precision, by_name
from verify.run import CaseResult, Job, verify
from verify.tolerances import load
from verify.worker import Ahead

__all__ = ["gate"]


def gate(
    *,
    plugin: Path,
    op: str,
    plugin_version: str,
    plugin_namespace: str | None,
    fields: tuple[str, ...],
    preloads: tuple[Path, ...],
    precisions: tuple[str, ...],
    contexts: tuple[str, ...],
    checks: tuple[str, ...],
    quick: bool,
    sanitize: bool,
    seed: int,
    out: Path,
    json_file: Path | None,
    junit: Path | None,
    observe: Path | None,
    tolerances: Path | None,
    ahead: Ahead,
) -> int:
    """Returns the exit code: 0 SHIP, 1 DO NOT SHIP, 3 COULD NOT VERIFY; InputError is 2.

    ``ahead``: processes that were started beforehand; a new one is taken where there is none.
    """
    order = gates.order_of(plugin, op, plugin_version, plugin_namespace, fields, preloads)
    plumbing = table.chosen(checks, sanitize=sanitize)
    known = (*CHECKS, *(check.name for check in (*table.CHECKS, table.SANITIZER)))
    for check in checks:
        if check not in known:
            raise InputError(f"--check {check!r}: unknown; allowed: {', '.join(known)}")
    if table.SANITIZER in plumbing and not sanitizer.program():
        raise InputError(f"--sanitize: {sanitizer.NAME} is neither on PATH nor in CUDA_HOME/bin")
    allowed = load(tolerances)
    console, results = Console(), list[CaseResult]()
    checked: list[Result] = []
    asked = tuple(by_name(name) for name in precisions)
    values = tuple(check for check in checks if check in CHECKS)
    cases = gates.cases_of(asked or PRECISIONS, values) if values or not checks else ()
    cases = tuple(case for case in cases if not contexts or case.context in contexts)
    if not cases and not plumbing:
        raise InputError(
            f"--check {', '.join(checks)} and --context {', '.join(contexts)}: no case and no "
            "check is left; the properties are of context alone"
        )
    job = Job(cases, allowed, seed, out, values, observe=observe is not None)
    check_targets(out, json_file, junit, observe)
    if observe:
        can_observe(observe, cases, checks, Tensorrt())
    last: Outcome | None = None
    with output_folder(out):
        try:
            why = gates.obstacle(order.library, Tensorrt().status())
            why = why or (device.lacking() if plumbing else "")
            if why:
                raise gates.CouldNotVerify(why)
            with ExitStack() as stack:
                beside = stack.enter_context(
                    Beside(
                        plumbing,
                        checked,
                        shares=not cases and all(check.plans for check in plumbing),
                        ahead=ahead,
                    )
                )
                worker = ahead.take(execution.start)
                stack.callback(worker.close)
                worker.begin(execution.start)  # meanwhile the library is looked at
                target = gates.register(order)
                runner = Tensorrt(target.plugin, worker=worker)
                if observe:  # the plugin is known now
                    can_observe(observe, cases, checks, runner)
                last = _run(
                    console, runner, target, job, asked, results, beside, stack, quick=quick
                )
        except gates.CouldNotVerify as error:
            last = Outcome("COULD NOT VERIFY", str(error), 3)
        except gates.DoNotShip as error:
            last = Outcome("DO NOT SHIP", f"{plugin.name}: {error}", 1)
            checked[:] = [Result(table.by_name("registry"), "FAIL", str(error), (str(error),), 1)]
        except KeyboardInterrupt:
            pass  # there is no last word then
        finally:
            # What is finished is kept, also when Ctrl-C ends the run.
            record = record_of(job, results, complete=last is not None, command="gate")
            text = _with_checks(record, checked, out).to_json()
            for path in (out / "record.json", *([json_file] if json_file else [])):
                records.write_text(path, text)
            if junit:
                report.junit(junit, results, checked)
            if observe:
                report.say(console, keep(observe, results))
    if last is None:
        done = f"{len(results)} cases and {len(checked)} checks"
        raise KeyboardInterrupt(f"after {done}; kept in {out / 'record.json'}")
    report.say(console, last.sentence)
    return last.exit_code


def _run(
    console: Console,
    runner: Tensorrt,
    target: gates.Target,
    job: Job,
    asked: tuple[Precision, ...],
    results: list[CaseResult],
    beside: Beside,
    stack: ExitStack,
    *,
    quick: bool,
) -> Outcome:
    """Verify the plugin's cases, its plumbing beside, and print how they and others did."""
    about = gates.named(target.plugin.library.path, target)
    status = runner.status()
    report.say(console, f"{about} on TensorRT {status.version}, {status.device}")
    if target.listing.on_request:
        report.say(console, "registered by TensorRT's registry only; `polygraphy --plugins` can't")
    refused = gates.supported(runner, target.node, asked)
    subject = gates.subject_of(target, runner, refused, asked, quick=quick)
    beside.go(subject, runner.worker)
    tested = [precision for precision, why in refused.items() if not why]
    for precision, why in refused.items():
        if why:
            report.say(console, f"{precision.name} is not tested: {why}")
    if runner.static:
        report.say(
            console, "the plugin refuses dynamic shapes: tested with static ones, a plan for each"
        )
    report.say(console, f"out of scope: {', '.join(table.OUT_OF_SCOPE)}")

    def engines(name: str) -> Executor | Builder:
        return runner if name == "tensorrt" else engine(name)

    def again(case: Case) -> tuple[str, ...]:
        return _again(target, case)

    cases = tuple(case for case in job.cases if case.precision in tested)
    job = replace(
        job, cases=cases, node=target.node, engines=engines, again=again, beside=not quick
    )
    with progress_bar() as progress:
        task = progress.add_task("gate", total=len(cases) + len(beside.checks))
        beside.report(lambda name: progress.update(task, advance=1, description=name))

        def done(result: CaseResult) -> None:
            results.append(result)
            progress.update(task, advance=1, description=result.case.id)
            interrupt.check()

        verify(job, done)
        compared = tested if cases else ()
        others = list(gates.neighbours(runner, compared, job.seed, stack, quick=quick))
        beside.wait()
    checked = beside.results
    checked[:] = replay.store(checked, subject, job.out / "findings")
    if results:
        report.print_table(console, results)
    for result in results:
        if result.layers:
            count = reformats(result.layers)
            kinds = ", ".join(dict.fromkeys(result.layers))
            line = f"{len(result.layers)} layers ({kinds}), {count} of them reformats"
            report.say(console, f"plan of {result.case.id}: {line}")
    _print_neighbours(console, others)
    report.print_checks(console, checked)
    for result in results:
        for finding in result.findings:
            report.print_findings(console, [finding])
            for line in gates.opinions(finding, others):
                report.say(console, line)
    report.print_faults(console, checked, _check_line(target, asked))
    report.print_summary(console, results, job.seed, job.out, checked)
    where = f"{about} on TensorRT {status.version}, {status.device}"
    lacks = "the plugin supports no precision: " + "; ".join(filter(None, refused.values()))
    return gates.outcome(results, where, checked, "" if tested else lacks)


def _with_checks(record: records.Record, checked: Sequence[Result], out: Path) -> records.Record:
    """The record with what the plumbing checks found."""
    rows = tuple(
        records.CheckRecord.model_validate(
            {
                "check": result.check.name,
                "claim": result.check.claim,
                "verdict": result.verdict,
                "reason": result.reason,
                "count": result.count,
                "seconds": round(result.seconds, 3),
            }
        )
        for result in checked
    )
    found = tuple(
        records.FindingRecord(
            case="plumbing",
            check=result.check.name,
            message=fault,
            output="",
            band="",
            kind="plumbing",
            point=None,
            limit=None,
            count=len(result.faults),
            samples=result.count,
            replay=records.ReplayRecord(
                folder=os.path.relpath(result.folder, out),
                line=result.line,
                reproduced=result.reproduced,
            )
            if result.folder
            else None,
        )
        for result in checked
        if result.verdict == "FAIL"
        for fault in result.faults[:1]
    )
    return record.model_copy(update={"checks": rows, "findings": (*record.findings, *found)})


def _check_line(target: gates.Target, asked: Sequence[Precision]) -> str:
    """The line that runs a plumbing check again, but for the check's name."""
    words = ["python", "-m", "verify", "gate", *gates.options_of(target), "--quick"]
    for precision in asked:
        words += ["--precision", precision.name]
    return shlex.join([*words, "--check"])


def _again(target: gates.Target, case: Case) -> tuple[str, ...]:
    """The words behind ``python`` that run one case's checks again."""
    words = ["-m", "verify", "gate", *gates.options_of(target)]
    words += ["--precision", case.precision.name, "--context", case.context]
    return (*words, "--quick")


def _print_neighbours(console: Console, others: Sequence[gates.Neighbour]) -> None:
    """Who else computes Mish here, in ULP against the same oracle."""
    if not others:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in ("beside the plugin", "precision", "samples", "worst ULP", "where", "why"):
        table.add_column(name, no_wrap=True)
    for other in others:
        numbers = ("", "", "")
        why = other.reason
        if not other.reason:
            samples = spaced(other.samples)
            numbers = (samples, f"{other.worst:.4g}", f"x = {other.x:.7g}")
            if other.special:
                why = f"{other.special} NaN or infinite results where a number is due"
        table.add_row(other.name, other.precision.name, *numbers, Text(why))
    console.print()
    report.print_wide(console, table)
