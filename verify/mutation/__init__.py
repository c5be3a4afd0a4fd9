"""Mutants as plugins: wrong plugin libraries, each through the gate in a process of its own.

`table` says which there are, `build` compiles them, `trial` runs the gate on one, `score` adds
the trials up.
"""

from verify.mutation.build import Toolchain, build, toolchain
from verify.mutation.score import Score, score
from verify.mutation.table import DEFAULT_TABLE, REFERENCE, Mutant, MutantTable, load
from verify.mutation.trial import Order, Trial, run, trial_of

__all__ = [
    "DEFAULT_TABLE",
    "REFERENCE",
    "Mutant",
    "MutantTable",
    "Order",
    "Score",
    "Toolchain",
    "Trial",
    "build",
    "load",
    "run",
    "score",
    "toolchain",
    "trial_of",
]
