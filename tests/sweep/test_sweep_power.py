"""Tolerance power: a tight, a slack and a blind limit are told apart, by mutants of size."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verify.engines import engine
from verify.power import Power, power
from verify.precision import BF16, FP16
from verify.tolerances import load

Cli = Callable[..., Any]

PLUGIN = '"well" = 0.51, "origin" = 0.51'  # fp16, context alone
COMPOSED = '"well" = 2.0, "origin" = 2.0'


def _of(folder: Path, case: str, **options: Any) -> list[Power]:
    """The entries of one case; no case after it is tried."""
    found: list[Power] = []
    for entry in power(load(folder), [FP16], **options):
        if entry.case == case:
            found.append(entry)
        elif found:
            break
    return found


def _powers(folder: Path, case: str = "plugin-alone-fp16-tensorrt") -> dict[str, Power]:
    return {entry.what: entry for entry in _of(folder, case)}


def _spoil(folder: Path, old: str, new: str) -> None:
    path = folder / "fp16.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _deviate(folder: Path, case: str, error: float, count: int, x: str = "[-4.0, -0.25]") -> None:
    path = folder / "fp16.toml"
    path.write_text(
        path.read_text()
        + f'\n[[deviation]]\ncases = ["{case}"]\nx = {x}\nkind = "ulp"\n'
        + f'largest_error = {error}\nlargest_count = {count}\nreason = "deliberately much"\n'
    )


def test_a_limit_next_to_correct_rounding_catches_one_ulp(tolerances: Path) -> None:
    well = _powers(tolerances)["regular.well"]
    assert (well.state, well.rounded, well.inputs, well.within) == ("ok", True, 4096, 0)
    assert (well.share, well.whole) == (1, 1)
    assert well.one == 2, "from 0.49 above to 0.51 below is one step"
    assert 4000 < well.caught < 4096


@pytest.mark.parametrize("limit", [20.0, 100.0])
def test_a_slack_limit_catches_only_what_is_beyond_it(tolerances: Path, limit: float) -> None:
    _spoil(tolerances, PLUGIN, PLUGIN.replace("0.51", str(limit), 1))
    entries = _powers(tolerances)
    well = entries["regular.well"]
    assert well.state == "ok"
    assert well.whole is not None
    assert well.one is not None
    # Correctly rounded results are off by up to 0.5 already, in either direction; beyond a
    # binade's end the numbers lie twice as close or twice as far apart.
    assert limit - 1 <= well.whole <= limit + 1
    assert limit < well.one <= 2 * limit + 2
    assert entries["regular.bulk"].whole == 1, "another limit is as before"


def test_a_deviation_that_accepts_everything_makes_a_limit_blind(tolerances: Path) -> None:
    _deviate(tolerances, "plugin-alone-fp16-tensorrt", 1e9, 65536)
    entries = _powers(tolerances)
    assert entries["regular.well"].state == "blind"
    assert (entries["regular.well"].one, entries["regular.well"].within) == (None, 4096)
    assert entries["regular.bulk"].state == "ok"


def test_a_deviations_largest_count_is_what_is_caught(tolerances: Path) -> None:
    """Wrong at a hundredth of the inputs passes, wrong in the whole band does not."""
    _deviate(tolerances, "plugin-alone-fp16-tensorrt", 1e9, 1000)
    well = _powers(tolerances)["regular.well"]
    assert well.whole == 1
    assert well.share is None or well.share > 1000
    assert well.state == "ok"


def _shifted(shift: Callable[[Any, Any], None]) -> Callable[[str], object]:
    """Engines, of which `reference` has its results (as bits) moved by ``shift(x, bits)``."""

    class Shifted:
        name = "reference"

        def status(self) -> Any:
            return engine("reference").status()

        def open(self, model: bytes, precision: Any) -> Any:
            session: Any = engine("reference").open(model, precision)  # type: ignore[union-attr]
            inner = session.run

            def run(x: Any) -> Any:
                outputs = inner(x)
                shift(x, outputs["y"].view(np.uint16))
                return outputs

            session.run = run
            return session

    return lambda name: Shifted() if name == "reference" else engine(name)


def test_what_a_deviation_accepts_elsewhere_is_not_left_over(tolerances: Path) -> None:
    """Half of a deviation's count is used up in the origin: the rest is less than one in 100."""

    def shift(x: Any, bits: Any) -> None:
        bits[(x >= -0.25) & (x < -0.125)] += np.uint16(10)  # 1024 inputs

    case = "op-alone-fp16-reference"
    _deviate(tolerances, case, 30.0, 1024 + 30, "[-4.0, -0.125]")
    found = {e.what: e for e in _of(tolerances, case, engines=_shifted(shift))}
    well = found["regular.well"]
    assert (well.inputs, well.within) == (4096, 4096)
    assert well.share is not None
    assert well.share < 5
    _spoil(tolerances, "largest_count = 1054", "largest_count = 1154")
    well = {e.what: e for e in _of(tolerances, case, engines=_shifted(shift))}["regular.well"]
    assert well.share is not None
    assert well.share > 28, "only the largest error is left to break"


def test_results_beyond_their_limit_are_exceeded_not_caught(cli: Cli, tolerances: Path) -> None:
    _spoil(tolerances, COMPOSED, COMPOSED.replace("2.0", "1.5", 1))
    well = _powers(tolerances, "op-alone-fp16-reference")["regular.well"]
    assert (well.state, well.one, well.whole) == ("exceeded", None, None)
    done = cli("tolerances", "--power", "--precision", "fp16", "--tolerances", tolerances)
    assert done.code == 1
    assert "1 exceeded" in done.out


@pytest.mark.parametrize("error", [1, 2, 5])
def test_an_engines_own_errors_count(tolerances: Path, error: int) -> None:
    """The least k is what the limit leaves over beside the engine's worst results."""

    def shift(x: Any, bits: Any) -> None:
        bits[x == np.float16(-2.0)] += np.uint16(error)
        bits[x == np.float16(-1.5)] -= np.uint16(error)

    _spoil(tolerances, COMPOSED, COMPOSED.replace("2.0", "20.0", 1))
    found = _of(tolerances, "op-alone-fp16-reference", engines=_shifted(shift))
    (well,) = (entry for entry in found if entry.what == "regular.well")
    assert well.whole is not None
    assert well.whole <= 20 - error + 1
    assert well.whole >= math.floor(20 - error - 1.5)


def test_every_limit_of_bf16_has_its_power() -> None:
    entries = list(power(load(), [BF16]))
    assert len(entries) > 60
    assert {entry.source for entry in entries} == {"bf16.toml"}
    assert not [entry for entry in entries if entry.state == "exceeded"]
    plugins = [entry for entry in entries if entry.case.startswith("plugin-alone")]
    assert {(entry.whole, entry.state) for entry in plugins} == {(1, "ok")}


def test_the_table_is_printed_and_precision_goes_with_power_only(cli: Cli) -> None:
    done = cli("tolerances", "--power", "--precision", "bf16")
    assert done.code == 0, done.err
    assert "plugin-alone-bf16-tensorrt, correctly rounded" in done.out
    assert "blind" in done.out
    done = cli("tolerances", "--precision", "bf16")
    assert done.code == 2
    assert "only with --power" in done.err
