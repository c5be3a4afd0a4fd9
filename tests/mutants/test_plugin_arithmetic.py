"""A wrong plugin's arithmetic is wrong where the table says, and correctly rounded elsewhere."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from verify import mutation
from verify.mutation import Mutant, MutantTable
from verify.oracle import expected
from verify.precision import PRECISIONS, Precision
from verify.samples import sample
from verify.ulp import error_ulp

ROOT = Path(__file__).resolve().parents[2]
ARITHMETIC = [mutant for mutant in mutation.load().mutants if mutant.wrong]
LIMIT = 1.0  # ULP: the contract of a plugin alone
EXTRA = (0.69921875, 0.0, -0.0, math.inf, -math.inf, math.nan)


def compiled(mutant: Mutant, table: MutantTable, folder: Path) -> ctypes.CDLL:
    """The mutant's arithmetic, compiled for the host."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    (source,) = table.sources(mutant.name)
    library = folder / f"{mutant.name}.so"
    options = ["-std=c++17", "-O1", "-mfma", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    options += ["-shared", "-fPIC", "-DMUTANT_ON_HOST", "-I", str(ROOT / "plugin")]
    done = subprocess.run(
        [compiler, "-x", "c++", *options, str(source), "-o", str(library)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def apply(
    library: ctypes.CDLL, precision: Precision, x: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    y = np.empty_like(x)
    pointer = ctypes.POINTER(ctypes.c_float)
    library.mutant_apply(
        PRECISIONS.index(precision),
        x.ctypes.data_as(pointer),
        y.ctypes.data_as(pointer),
        ctypes.c_long(len(x)),
    )
    return y


@pytest.mark.parametrize("mutant", ARITHMETIC, ids=lambda mutant: mutant.name)
def test_wrong_where_the_table_says_and_nowhere_else(
    mutant: Mutant, table: MutantTable, tmp_path: Path
) -> None:
    library = compiled(mutant, table, tmp_path)
    for precision in PRECISIONS:
        inputs = sample(precision, 0).values
        if precision.name == "fp32":  # the exact fp32 route takes a while
            inputs = np.concatenate([inputs[::16], np.array(EXTRA, dtype=np.float32)])
        with np.errstate(invalid="ignore"):  # signaling NaNs among all bit patterns
            x = precision.widen(inputs).astype(np.float32)
        due = expected("alone", inputs, precision)[0].expected
        y = apply(library, precision, x).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            error = error_ulp(y, due, precision)
        same = (y == due) | (np.isnan(y) & np.isnan(due)) | (x == -np.inf)
        signed = (x != 0) & (due != 0) | (np.signbit(y) == np.signbit(x)) | np.isnan(x)
        bad = ~((error <= LIMIT) | same) | ~(signed | (x == -np.inf))
        low, high = mutant.wrong.get(precision.name, (math.inf, -math.inf))
        inside = np.isnan(x) if math.isnan(low) else (x >= low) & (x <= high)
        assert not (bad & ~inside).any(), f"{precision.name}: x = {x[bad & ~inside][:3]}"
        exact = (error <= 0.5) | same
        assert exact[~inside & (x != 0)].all(), f"{precision.name}: misrounded elsewhere"
        if precision.name in mutant.wrong:
            assert (bad & inside).any(), f"{precision.name}: right throughout"


def test_every_numeric_bug_is_there() -> None:
    assert {mutant.bug for mutant in ARITHMETIC} >= {str(bug) for bug in range(1, 12)}
