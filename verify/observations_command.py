"""What the subcommand `observations` and `tolerances --power` do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from verify import interrupt
from verify.count import spaced
from verify.findings import number
from verify.observation import read_folder
from verify.power import SHARE, Power
from verify.power import power as power_of
from verify.precision import PRECISIONS, by_name
from verify.report import print_wide, say
from verify.support import matrix, without_row, write_readme
from verify.tolerances import DEFAULT_FOLDER, load

__all__ = ["README", "observations", "power"]

README = DEFAULT_FOLDER.parent / "README.md"


def observations(readme: bool, folder: Path | None) -> int:
    """``python -m verify observations``; returns the exit code."""
    contract = load(folder)
    observed = read_folder(contract.folder / "observed")
    table = matrix(observed, contract)
    console, error = Console(), Console(stderr=True)
    for name in without_row(observed):
        say(error, f"{name}: not in the table: no case of context alone")
    if not readme:
        console.print(table, end="", highlight=False, markup=False, soft_wrap=True)
        return 0
    changed = write_readme(README, table)
    told = "brought up to date" if changed else "is up to date"
    console.print(f"{README}: {told}", highlight=False, markup=False, soft_wrap=True)
    return 0


_STYLE = {"ok": "green", "blind": "yellow", "exceeded": "bold red"}
_COLUMNS = (
    "file", "limit of", "limit", "one input", f"1 in {SHARE}", "whole band", "caught", "of",
    "deviating", "", "results of",
)  # fmt: skip
_LEFT = ("file", "limit of", "", "results of")


def power(folder: Path | None, precisions: tuple[str, ...]) -> int:
    """``python -m verify tolerances --power``; returns the exit code: 1 if a limit is exceeded."""
    contract = load(folder)
    console, entries = Console(), list[Power]()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    error = Console(stderr=True)
    with Progress(*columns, console=error, transient=True, disable=not error.is_terminal) as bar:
        task = bar.add_task("tolerances")
        for entry in power_of(contract, [by_name(name) for name in precisions] or PRECISIONS):
            entries.append(entry)
            bar.update(task, description=f"{entry.case}: {entry.what}")
            interrupt.check()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    for entry in entries:
        table.add_row(*_row(entry))
    print_wide(console, table)
    counts = Counter(entry.state for entry in entries)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    console.print()
    console.print(
        f"the smallest k in ULP that is caught, at any input that no deviation is about, at one in "
        f"{SHARE} or in the whole band, and at how many inputs of it; "
        "blind: half of every result can be lost unseen, which a deviation accepts",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"{len(entries)} limits: {told}", highlight=False)
    return 1 if counts["exceeded"] else 0


def _row(entry: Power) -> list[str | Text]:
    ks = [k if k is None else spaced(k) for k in (entry.one, entry.share, entry.whole)]
    return [
        entry.source,
        entry.what,
        number(entry.limit),
        *(k or "none" for k in ks),
        spaced(entry.caught),
        spaced(entry.inputs),
        spaced(entry.within) if entry.within else "",
        Text(entry.state, style=_STYLE[entry.state]),
        entry.case + (", correctly rounded" if entry.rounded else ""),
    ]
