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
from verify.engines.tensorrt import Tensorrt, version_at_hand
from verify.errors import InputError
from verify.mutation import MutantTable, Score, Trial

__all__ = ["mutants", "print_trials", "run_trials"]


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
    chosen = _chosen(table, names, version_at_hand() if gpu else "")
    if gpu and build is None and libraries is None:
        raise InputError("--gpu needs --libraries DIR with the wrong plugins, or --build DIR")
    if headers and build is None:
        raise InputError(f"--headers {headers}: needs --build DIR, which compiles against it")
    if not gpu:
        given = {"--libraries": libraries, "--json": json_file, "--own": own, "--resume": resume}
        for option in (option for option, value in given.items() if value):
            raise InputError(f"{option} needs --gpu: nothing is run without it")
    else:
        check_targets(out, json_file, None)
    console = Console()
    if build is not None:
        faults = _build(console, table, names, build, headers)
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
    console: Console, table: MutantTable, names: tuple[str, ...], folder: Path, release: str
) -> dict[str, str]:
    tools = mutation.toolchain(release)
    chosen = _chosen(table, names, tools.release)
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
    status = Tensorrt().status()
    if not status.executes:
        report.say(console, f"COULD NOT VERIFY: {status.reason}; it needs {status.install}")
        return 3
    return run_trials(console, order, records.EngineRecord.of(status), json_file)


def run_trials(
    console: Console, order: mutation.Order, engine: records.EngineRecord, json_file: Path | None
) -> int:
    """Run the gates, print and keep what they say; returns the exit code, 0 or 1.

    Raises KeyboardInterrupt, which says how far it came, once what is done is printed and kept.
    """
    table, chosen = order.table, order.names
    trials, pressed = list[Trial](), False
    try:
        with progress_bar() as progress, closing(mutation.run(order)) as running:
            task = progress.add_task("mutants", total=len(chosen))
            for trial in running:
                trials.append(trial)
                progress.update(task, advance=1, description=trial.name)
    except KeyboardInterrupt:
        pressed = True
    finally:
        # What is finished is kept, also when Ctrl-C ends the run. Nothing is no table.
        trials.sort(key=lambda trial: chosen.index(trial.name))
        if json_file and trials:
            environment = records.environment([engine])
            complete = len(trials) == len(chosen)
            text = _json(trials, table, environment, order.seed, complete=complete)
            records.write_text(json_file, text)
    total = mutation.score(trials, table)
    if trials:
        print_trials(console, trials, table, total)
    if pressed:
        raise KeyboardInterrupt(_kept(order, len(trials), json_file))
    return 0 if total.good else 1


def _kept(order: mutation.Order, done: int, json_file: Path | None) -> str:
    """How far an interrupted run came, and where that is."""
    told = f"after {done} of {len(order.names)} trials"
    if not done:
        return f"{told}; nothing written"
    table = f", the table in {json_file}" if json_file else ""
    return f"{told}; kept in {order.out}{table}; --resume goes on from there"


def _chosen(table: MutantTable, names: tuple[str, ...], release: str) -> tuple[str, ...]:
    """What is asked for, or all that exist for a release of TensorRT (empty if unknown)."""
    for name in names:
        if name not in table.names:
            raise InputError(f"--mutant {name!r}: unknown; allowed: {', '.join(table.names)}")
        mutant = table.mutant(name)
        if mutant is not None and not mutant.exists_in(release):
            words = f"exists from TensorRT {mutant.since} on, and this is {release}"
            raise InputError(f"--mutant {name}: {words}")
    return tuple(dict.fromkeys(names)) or table.names_in(release)


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
