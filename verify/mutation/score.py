"""What the trials come to: the kill rate, and what each check is good for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from verify.mutation.table import MutantTable
from verify.mutation.trial import Trial

__all__ = ["Score", "score"]


@dataclass(frozen=True)
class Score:
    """The sum of all trials.

    ``alone``: for each check, the mutants that only it catches, of those that all checks were
    tried on. ``own``: how many mutants were tried on the expected checks only. ``idle``: checks
    that ran and caught nothing. ``unexpected``: mutants that were killed, but by none of the
    checks that the table expects. ``alarms``: what the gate held against a library without a bug,
    by its name.
    """

    killed: tuple[str, ...]
    survived: tuple[str, ...]
    alone: dict[str, tuple[str, ...]]
    own: int
    idle: tuple[str, ...]
    unexpected: tuple[str, ...]
    alarms: dict[str, str]

    @property
    def rate(self) -> float:
        """Killed mutants, as a share of all; 0 if there are none."""
        total = len(self.killed) + len(self.survived)
        return len(self.killed) / total if total else 0.0

    @property
    def good(self) -> bool:
        """Whether every mutant was killed as expected, every check is of use, no alarm was false.

        What another check than the expected ones catches, such as a library that can't be loaded,
        may not show what it was made for.
        """
        blemishes = (self.survived, self.idle, self.unexpected, self.alarms)
        return bool(self.killed) and not any(blemishes)


def score(trials: Sequence[Trial], table: MutantTable) -> Score:
    """Add trials up, in the table's order."""
    by_name = {trial.name: trial for trial in trials}
    mutants = [by_name[mutant.name] for mutant in table.mutants if mutant.name in by_name]
    controls = [by_name[name] for name in table.controls if name in by_name]
    counts = Counter(check for trial in mutants if trial.killed for check in trial.caught)
    only: dict[str, list[str]] = {}
    for trial in mutants:
        if trial.killed and len(trial.caught) == 1 and not trial.own:
            only.setdefault(trial.caught[0], []).append(trial.name)
    ran = dict.fromkeys(check for trial in (*controls, *mutants) for check in trial.ran)
    unexpected = []
    for trial in mutants:
        mutant = table.mutant(trial.name)
        if trial.killed and mutant is not None and not set(mutant.checks) & set(trial.caught):
            unexpected.append(trial.name)
    return Score(
        killed=tuple(trial.name for trial in mutants if trial.killed),
        survived=tuple(trial.name for trial in mutants if not trial.killed),
        alone={check: tuple(names) for check, names in only.items()},
        own=sum(trial.own for trial in mutants),
        idle=tuple(check for check in ran if not counts[check]),
        unexpected=tuple(unexpected),
        alarms={
            trial.name: ", ".join(trial.caught) or trial.error or trial.sentence
            for trial in controls
            if trial.exit_code != 0 or trial.caught or trial.error
        },
    )
