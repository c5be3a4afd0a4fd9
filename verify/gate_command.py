"""``python -m verify gate``: what is printed and written around the gate, and its exit code."""

from __future__ import annotations

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
from verify.command import output_folder, progress_bar, record_of
from verify.engines import Builder, Executor, engine
from verify.engines.inspection import reformats
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.gate import Outcome
from verify.library import read
from verify.mutants import CHECKS
from verify.precision import PRECISIONS, Precision, by_name
from verify.run import CaseResult, Job, verify
from verify.tolerances import load

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
    checks: tuple[str, ...],
    quick: bool,
    seed: int,
    out: Path,
    json_file: Path | None,
    junit: Path | None,
    tolerances: Path | None,
) -> int:
    """Returns the exit code: 0 SHIP, 1 DO NOT SHIP, 3 COULD NOT VERIFY; InputError is 2."""
    library = read(plugin)
    for path in preloads:
        if not path.is_file():
            raise InputError(f"--preload {path}: no such file")
    for check in checks:
        if check not in CHECKS:
            raise InputError(f"--check {check!r}: unknown; allowed: {', '.join(CHECKS)}")
    order = gates.Order(
        library,
        op,
        plugin_version,
        plugin_namespace,
        tuple(_field(text) for text in fields),
        tuple(str(path.resolve()) for path in preloads),
    )
    allowed = load(tolerances)
    console, results = Console(), list[CaseResult]()
    asked = tuple(by_name(name) for name in precisions)
    job = Job(gates.cases_of(asked or PRECISIONS, checks), allowed, seed, out, checks)
    last: Outcome | None = None
    with output_folder(out):
        try:
            why = gates.obstacle(library, Tensorrt().status())
            if why:
                raise gates.CouldNotVerify(why)
            target = gates.register(order)
            with ExitStack() as stack:
                runner = Tensorrt(target.plugin)
                stack.callback(runner.close)
                last = _run(console, runner, target, job, asked, results, stack, quick=quick)
        except gates.CouldNotVerify as error:
            last = Outcome("COULD NOT VERIFY", str(error), 3)
        except gates.DoNotShip as error:
            last = Outcome("DO NOT SHIP", f"{plugin.name}: {error}", 1)
        finally:
            # What is finished is kept, also when Ctrl-C ends the run.
            text = record_of(job, results, complete=last is not None, command="gate").to_json()
            for path in (out / "record.json", *([json_file] if json_file else [])):
                records.write_text(path, text)
            if junit:
                report.junit(junit, results)
    _say(console, last.sentence)
    return last.exit_code


def _run(
    console: Console,
    runner: Tensorrt,
    target: gates.Target,
    job: Job,
    asked: tuple[Precision, ...],
    results: list[CaseResult],
    stack: ExitStack,
    *,
    quick: bool,
) -> Outcome:
    """Verify the plugin's cases, and print how they and their neighbours did."""
    about = gates.named(target.plugin.library.path, target)
    status = runner.status()
    _say(console, f"{about} on TensorRT {status.version}, {status.device}")
    if target.listing.on_request:
        _say(console, "registered by TensorRT's registry only; `polygraphy --plugins` can't")
    refused = gates.supported(runner, target.node, asked)
    tested = [precision for precision, why in refused.items() if not why]
    for precision, why in refused.items():
        if why:
            _say(console, f"{precision.name} is not tested: {why}")
    if not tested:
        raise gates.DoNotShip("the plugin supports no precision: " + "; ".join(refused.values()))
    if runner.static:
        _say(console, "the plugin refuses dynamic shapes: tested with static ones, a plan for each")

    def engines(name: str) -> Executor | Builder:
        return runner if name == "tensorrt" else engine(name)

    def again(case: Case) -> tuple[str, ...]:
        return _again(target, case)

    cases = gates.cases_of(tested, job.checks)
    job = replace(
        job, cases=cases, node=target.node, engines=engines, again=again, beside=not quick
    )
    with progress_bar() as progress:
        task = progress.add_task("gate", total=len(cases))

        def done(result: CaseResult) -> None:
            results.append(result)
            progress.update(task, advance=1, description=result.case.id)
            interrupt.check()

        verify(job, done)
    others = list(gates.neighbours(runner, tested, job.seed, stack, quick=quick))
    report.print_table(console, results)
    for result in results:
        if result.layers:
            count = reformats(result.layers)
            kinds = ", ".join(dict.fromkeys(result.layers))
            line = f"{len(result.layers)} layers ({kinds}), {count} of them reformats"
            _say(console, f"plan of {result.case.id}: {line}")
    _print_neighbours(console, others)
    for result in results:
        for finding in result.findings:
            report.print_findings(console, [finding])
            for line in gates.opinions(finding, others):
                _say(console, line)
    report.print_summary(console, results, job.seed, job.out)
    return gates.outcome(results, f"{about} on TensorRT {status.version}, {status.device}")


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"--field {text!r}: expected NAME=VALUE")
    return name, value


def _again(target: gates.Target, case: Case) -> tuple[str, ...]:
    """The words behind ``python`` that run one case's checks again."""
    name = target.plugin.name
    words = ["-m", "verify", "gate", "--plugin", str(target.plugin.library.path.resolve())]
    words += ["--op", name.op, "--plugin-version", name.version]
    words += ["--plugin-namespace", name.namespace]
    for key, value in target.node.fields:
        words += ["--field", f"{key}={value}"]
    for path in target.plugin.preload:
        words += ["--preload", path]
    return (*words, "--precision", case.precision.name, "--quick")


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
            samples = f"{other.samples:_}".replace("_", " ")
            numbers = (samples, f"{other.worst:.4g}", f"x = {other.x:.7g}")
            if other.special:
                why = f"{other.special} NaN or infinite results where a number is due"
        table.add_row(other.name, other.precision.name, *numbers, Text(why))
    console.print()
    report.print_wide(console, table)


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
