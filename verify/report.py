"""What a run tells people: the table, the findings, the summary; and JUnit for CI systems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.count import spaced
from verify.findings import Finding, number
from verify.judge import BandResult, Breach
from verify.mutants import CHECKS, Killing, score
from verify.plumbing.check import Result
from verify.record import write_text
from verify.run import FAILING, CaseResult

__all__ = [
    "exit_code",
    "junit",
    "print_checks",
    "print_faults",
    "print_findings",
    "print_killings",
    "print_summary",
    "print_table",
    "say",
    "worst_text",
]

_STYLE = {
    "PASS": "green",
    "KNOWN": "green",
    "BUILT": "cyan",
    "SKIPPED": "dim",
    "FAIL": "bold red",
    "STALE": "bold red",
    "ERROR": "bold red",
}
# What a verdict needs to have happened for a run to have verified something.
_EXECUTED = ("PASS", "KNOWN", "FAIL", "STALE")


def exit_code(results: Sequence[CaseResult]) -> int:
    """0 all good and something was executed, 1 something failed, 3 nothing was executed."""
    if any(result.verdict in FAILING for result in results):
        return 1
    return 0 if any(result.verdict in _EXECUTED for result in results) else 3


def worst_text(result: CaseResult) -> tuple[str, str, str]:
    """The largest error in ULP, where it is, and the limit there; breaches come first."""
    judged = result.judgement
    if judged is None:
        return "", "", ""
    worst: Breach | BandResult | None = judged.worst
    if judged.breaches:
        worst = max(judged.breaches, key=lambda breach: breach.worst.error_ulp)
    if worst is None:
        return "", "", ""
    limit = "exact" if worst.limit is None else number(worst.limit)
    where = f"x = {worst.worst.x:.7g}" + (f", {worst.band}" if worst.band else "")
    return f"{worst.worst.error_ulp:.4g}", where, limit


def print_table(console: Console, results: Sequence[CaseResult]) -> None:
    """One row per case: verdict, samples, worst error and where, limit, and why."""
    names = ("case", "verdict", "samples", "worst ULP", "limit", "where", "why")
    rows = [_row(result) for result in results]
    widths = [max(len(row[i]) for row in (names, *rows)) for i in range(len(names))]
    # Only the last column may be cut, or left out: an id or a number that is cut is of no use.
    rest = sum(widths[:-1]) + 2 * len(names)
    shown = len(names)
    if console.is_terminal:
        widths[-1] = min(widths[-1], console.width - rest)
        shown -= widths[-1] < 12
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(names[:shown]):
        table.add_column(
            name,
            justify="right" if name in ("samples", "worst ULP", "limit") else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=widths[i],
            max_width=widths[i],
        )
    for result, row in zip(results, rows, strict=True):
        cells = [Text(cell) for cell in row[:shown]]  # an engine's words are no markup
        cells[1].stylize(_STYLE[result.verdict])
        table.add_row(*cells)
    print_wide(console, table, sum(widths[:shown]) + 2 * shown)


def say(console: Console, line: str) -> None:
    """Print a line as it is: neither styled nor wrapped."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_wide(console: Console, table: Table, width: int = 4000) -> None:
    """Print a table in full width, whatever the terminal's; no padding where there is none."""
    if console.is_terminal and console.width >= width:
        console.print(table)
        return
    wide = Console(file=console.file, width=width, force_terminal=console.is_terminal)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")


def _row(result: CaseResult) -> tuple[str, ...]:
    error, where, limit = worst_text(result)
    why = "; ".join(part for part in ("body" if result.body else "", result.reason) if part)
    samples = spaced(result.samples) if result.samples else ""
    return result.case.id, result.verdict, samples, error, limit, where, why


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Every finding with its numbers and how to see it again."""
    for finding in findings:
        console.print()
        for line in _told(finding):
            say(console, line)


def _told(finding: Finding) -> list[str]:
    lines = finding.lines()
    if finding.replay is not None:
        state = "" if finding.replay.reproduced else "  NOT REPRODUCED"
        if finding.replay.untried:
            state = f"  not executed: {finding.replay.untried}"
        lines.append(f"  replay    {finding.replay.line}{state}")
    return lines


def print_checks(console: Console, results: Sequence[Result]) -> None:
    """One row per plumbing check: verdict, comparisons, seconds, and why."""
    if not results:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", "verdict", "compared", "seconds", "why"):
        numeric = name in ("compared", "seconds")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for result in results:
        table.add_row(
            result.check.name,
            Text(result.verdict, style=_STYLE[result.verdict]),
            spaced(result.count) if result.count else "",
            f"{result.seconds:.1f}",
            Text(result.reason),  # a library's words are no markup
        )
    console.print()
    print_wide(console, table)


def print_faults(console: Console, results: Sequence[Result], line: str) -> None:
    """Every plumbing check that failed, and how to see it again.

    ``line`` runs a check again when its name is put behind it.
    """
    for result in results:
        if result.verdict == "FAIL":
            console.print()
            for text in _faults(result, line):
                say(console, text)


def _faults(result: Result, line: str) -> list[str]:
    lines = [f"plumbing: {result.check.name}: not so: {result.check.claim}"]
    lines += [f"  found     {fault}" for fault in result.faults]
    if line:
        lines.append(f"  again     {line} {result.check.name}")
    if result.line:
        state = "" if result.reproduced else "  NOT REPRODUCED"
        lines.append(f"  replay    {result.line}{state}")
    return lines


def print_summary(
    console: Console,
    results: Sequence[CaseResult],
    seed: int,
    out: Path,
    checks: Sequence[Result] = (),
) -> None:
    """Counts of verdicts, what was accepted and skipped and why, and where the record is."""
    console.print()
    accepted = [
        (f"{d.key} of {r.case.precision.name}.toml", d.reason)
        for r in results
        for d in (() if r.judgement is None else [a.deviation for a in r.judgement.accepted])
    ]
    for (key, why), count in Counter(accepted).items():
        line = f"KNOWN {count} by {key}: {why}"
        say(console, line)
    skipped = (r for r in results if r.verdict == "SKIPPED")
    for (name, why), count in Counter(
        (r.case.engine, r.listed or r.reason) for r in skipped
    ).items():
        line = f"SKIPPED {count} on {name}: {why}"
        say(console, line)
    for check in checks:
        if check.verdict == "SKIPPED":
            line = f"SKIPPED {check.check.name}: {check.reason}"
            say(console, line)
    verdicts = [result.verdict for result in results] + [check.verdict for check in checks]
    counts = Counter(verdicts)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no cases"
    line = f"{told}; seed {seed}; record in {out / 'record.json'}"
    say(console, line)


def junit(path: Path, results: Sequence[CaseResult], checks: Sequence[Result] = ()) -> None:
    """Write a JUnit file: a test case per case and per plumbing check.

    Raises InputError where it can't be written.
    """
    from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

    suite = TestSuite("verify")
    for result in results:
        test = TestCase(result.case.id, classname=f"verify.{result.case.engine}")
        if result.verdict == "ERROR":
            test.result = [Error(_xml(result.reason), "ERROR")]
        elif result.verdict in FAILING:
            failure = Failure(_xml(result.reason), result.verdict)
            failure.text = _xml("\n".join(line for f in result.findings for line in _told(f)))
            test.result = [failure]
        elif result.verdict in ("SKIPPED", "BUILT"):
            test.result = [Skipped(_xml(f"{result.verdict}: {result.reason}"))]
        suite.add_testcase(test)
    for check in checks:
        test = TestCase(check.check.name, classname="verify.plumbing", time=check.seconds)
        if check.verdict == "ERROR":
            test.result = [Error(_xml(check.reason), "ERROR")]
        elif check.verdict == "FAIL":
            failure = Failure(_xml(check.reason), "FAIL")
            failure.text = _xml("\n".join(_faults(check, "")))
            test.result = [failure]
        elif check.verdict == "SKIPPED":
            test.result = [Skipped(_xml(check.reason))]
        suite.add_testcase(test)
    xml = JUnitXml()
    xml.add_testsuite(suite)
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    write_text(path, text.decode())


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 has no way to write."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def print_killings(console: Console, table: Sequence[Killing], alarms: Sequence[str]) -> None:
    """Mutant x check, the kill rate, what each check alone catches, and false alarms.

    A cell counts the (engine, precision) pairs in which the check's own finding killed.
    """
    total = score(table)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("mutant", no_wrap=True)
    grid.add_column("killed", no_wrap=True)
    for name in CHECKS:
        grid.add_column(name, justify="right", no_wrap=True)
    for mutant in dict.fromkeys(killing.mutant for killing in table):
        own = [killing for killing in table if killing.mutant == mutant]
        killed = sum(bool(killing.checks) for killing in own)
        cells = [sum(name in killing.checks for killing in own) or "" for name in CHECKS]
        grid.add_row(
            mutant,
            Text(f"{killed} of {len(own)}", style="green" if killed == len(own) else "bold red"),
            *(str(cell) for cell in cells),
        )
    print_wide(console, grid, 240)
    console.print()
    for killing in table:
        if killing.error:
            line = f"broke down: {killing.mutant} on {killing.engine} in {killing.precision}"
            console.print(f"{line}: {killing.error}", highlight=False, markup=False)
    for name, mutants in total.alone.items():
        console.print(f"only {name} catches: {', '.join(mutants)}", highlight=False)
    console.print(f"checks that catch nothing: {', '.join(total.idle) or 'none'}", highlight=False)
    console.print(f"mutants that survive: {', '.join(total.survived) or 'none'}", highlight=False)
    console.print(f"false alarms: {', '.join(alarms) or 'none'}", highlight=False)
    rate = len(total.killed) / (len(total.killed) + len(total.survived))
    console.print(f"killed {len(total.killed)} mutants, {rate:.1%}", highlight=False)
