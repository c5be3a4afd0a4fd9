"""``python -m verify mutants``: what is printed and written around mutants, and the exit code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify import mutation, report
from verify import record as records
from verify.command import check_targets, progress_bar
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.mutation import MutantTable, Score, Trial

__all__ = ["mutants", "print_trials"]


def mutants(
    seed: int,
    names: tuple[str, ...],
    json_file: Path | None,
    build: Path | None,
    *,
    gpu: bool,
    headers: str,
    libraries: Path | None,
    jobs: int,
    own: bool,
    resume: bool,
    out: Path,
) -> int:
    """``--build`` and ``--gpu``; returns the exit code.

    0 if every library was built, all mutants were killed, every check that ran caught one and no
    right library was refused; 1 otherwise; 3 where the gate can't execute. Libraries that don't
    build are not killed: nothing is run then.
    """
    table = mutation.load()
    chosen = _chosen(table, names)
    if gpu and build is None and libraries is None:
        raise InputError("--gpu needs --libraries DIR with the wrong plugins, or --build DIR")
    if headers and build is None:
        raise InputError(f"--headers {headers}: needs --build DIR, which compiles against it")
    if not gpu:
        given = {"--libraries": libraries, "--json": json_file, "--own": own, "--resume": resume}
        for option in (option for option, value in given.items() if value):
            raise InputError(f"{option} needs --gpu: nothing is run without it")
    console = Console()
    if build is not None:
        faults = _build(console, table, chosen, build, headers)
        if faults or not gpu:
            return 1 if faults else 0
    return _gates(
        console,
        mutation.Order(
            table, chosen, libraries or build or Path(), out, seed, jobs, own=own, resume=resume
        ),
        json_file,
    )


def _build(
    console: Console, table: MutantTable, chosen: tuple[str, ...], folder: Path, release: str
) -> dict[str, str]:
    tools = mutation.toolchain(release)
    with progress_bar() as progress:
        task = progress.add_task("build", total=len(chosen))

        def done(name: str, _fault: str) -> None:
            progress.update(task, advance=1, description=name)

        faults = mutation.build(table, chosen, folder, tools, done=done)
    for name, fault in faults.items():
        report.say(console, f"{name}: not built: {fault}")
    built = len(chosen) - len(faults)
    report.say(
        console, f"{built} of {len(chosen)} libraries for TensorRT {tools.release} in {folder}"
    )
    return faults


def _gates(console: Console, order: mutation.Order, json_file: Path | None) -> int:
    table, chosen = order.table, order.names
    check_targets(order.out, json_file, None)
    status = Tensorrt().status()
    if not status.executes:
        report.say(console, f"COULD NOT VERIFY: {status.reason}; it needs {status.install}")
        return 3
    trials: list[Trial] = []
    try:
        with progress_bar() as progress, closing(mutation.run(order)) as running:
            task = progress.add_task("mutants", total=len(chosen))
            for trial in running:
                trials.append(trial)
                progress.update(task, advance=1, description=trial.name)
    finally:
        # What is finished is kept, also when Ctrl-C ends the run.
        trials.sort(key=lambda trial: chosen.index(trial.name))
        if json_file:
            environment = records.environment([records.EngineRecord.of(status)])
            complete = len(trials) == len(chosen)
            text = _json(trials, table, environment, order.seed, complete=complete)
            records.write_text(json_file, text)
    total = mutation.score(trials, table)
    print_trials(console, trials, table, total)
    return 0 if total.good else 1


def _chosen(table: MutantTable, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in table.names:
            raise InputError(f"--mutant {name!r}: unknown; allowed: {', '.join(table.names)}")
    return tuple(dict.fromkeys(names)) or table.names


def _json(
    trials: Sequence[Trial],
    table: MutantTable,
    environment: records.Environment,
    seed: int,
    *,
    complete: bool,
) -> str:
    """The whole table, for programs; `command` tells it from an observation."""
    total = mutation.score(trials, table)
    rows = []
    for trial in trials:
        mutant = table.mutant(trial.name)
        about = {"bug": mutant.bug, "says": mutant.says} if mutant else {"bug": "", "says": "right"}
        rows.append({**dataclasses.asdict(trial), **about, "killed": trial.killed})
    data = {
        "schema_version": records.SCHEMA_VERSION,
        "command": "mutants",
        "complete": complete,
        "seed": seed,
        "environment": environment.model_dump(mode="json"),
        "trials": rows,
        "score": {**dataclasses.asdict(total), "rate": total.rate},
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def print_trials(
    console: Console, trials: Sequence[Trial], table: MutantTable, total: Score
) -> None:
    """Mutant x check, the kill rate, what only one check catches, and what is left over."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("mutant", "bug", "verdict", "seconds", "what is wrong", "caught by"):
        grid.add_column(name, no_wrap=True, justify="right" if name == "seconds" else "left")
    for trial in trials:
        mutant = table.mutant(trial.name)
        if mutant is None:
            fine = trial.name not in total.alarms
            verdict = Text("SHIP", "green") if fine else Text("FALSE ALARM", "bold red")
        else:
            verdict = Text("killed", "green") if trial.killed else Text("SURVIVES", "bold red")
        grid.add_row(
            trial.name,
            mutant.bug if mutant else "",
            verdict,
            f"{trial.seconds:.0f}",
            Text(mutant.says if mutant else "nothing: a control"),
            Text(", ".join(trial.caught) or trial.error or trial.sentence),
        )
    report.print_wide(console, grid)
    console.print()
    by_check = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", "catches", "and only it"):
        by_check.add_column(name, no_wrap=True, justify="right" if name == "catches" else "left")
    killed = [trial for trial in trials if trial.name in total.killed]
    for check in dict.fromkeys(check for trial in trials for check in trial.ran):
        count = sum(check in trial.caught for trial in killed)
        by_check.add_row(check, str(count), Text(", ".join(total.alone.get(check, ()))))
    report.print_wide(console, by_check)
    console.print()
    for name, why in total.alarms.items():
        report.say(console, f"false alarm: {name}: {why}")
    for name in total.unexpected:
        report.say(console, f"caught by another check than the table expects: {name}")
    report.say(console, f"checks that catch nothing: {', '.join(total.idle) or 'none'}")
    report.say(console, f"mutants that survive: {', '.join(total.survived) or 'none'}")
    count = len(total.killed) + len(total.survived)
    if total.own:
        tried = f"tried on the checks that are expected to catch them: {total.own} of {count}"
        report.say(console, f"{tried} mutants; what else does is not known")
    report.say(console, f"killed {len(total.killed)} of {count} mutants, {total.rate:.1%}")
