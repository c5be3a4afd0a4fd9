"""What the oracle and the judge cost per input, beside ONNX Runtime on the same inputs.

The parts take turns, so that a busy machine slows them all; the fastest turn counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import models
from verify.blocks import cores
from verify.cases import parse
from verify.engines.onnxruntime import OnnxRuntime
from verify.judge import judge
from verify.oracle import View, mish
from verify.precision import FP32, Array
from verify.samples import sample
from verify.tolerances import load


@click.command()
@click.option("--turns", default=15, show_default=True, help="Times that each part runs.")
def main(turns: int) -> None:
    """Print ns per input for ONNX Runtime, the oracle and the judge, and their ratio."""
    case = parse("composed-alone-fp32-onnxruntime")
    limits = load().limits(case)
    model = models.serialize(models.build("composed", "alone", "fp32"))
    table = Table(box=None, header_style="bold")
    for name in ("inputs", "count", "onnxruntime", "oracle", "judge", "ratio"):
        table.add_column(name, justify="left" if name == "inputs" else "right")
    with OnnxRuntime().open(model, FP32) as session:
        for name, x in _inputs():
            wide = FP32.widen(x)
            outputs = session.run(x)
            expected = np.empty_like(wide)
            view = (View("y", None, wide, mish(wide)),)
            spent = _turns(
                turns,
                partial(session.run, x),
                partial(mish, wide, expected),
                partial(judge, view, outputs, x, FP32, limits),
            )
            engine, oracle, verdict = (seconds / len(x) * 1e9 for seconds in spent)
            table.add_row(
                name,
                f"{len(x)}",
                f"{engine:.2f} ns",
                f"{oracle:.2f} ns",
                f"{verdict:.2f} ns",
                f"{(oracle + verdict) / engine:.2f}",
            )
    console = Console()
    console.print(table)
    console.print(f"ratio: oracle and judge to ONNX Runtime; {cores()} cores", highlight=False)


def _inputs() -> list[tuple[str, Array]]:
    """The sample as `verify run` judges it, and as many uniform bit patterns in random order."""
    ordered = sample(FP32, 0).values
    bits = np.random.default_rng(0).integers(0, 1 << 32, len(ordered), dtype=np.uint32)
    return [("sample, ascending", ordered), ("uniform bits, unordered", FP32.from_bits(bits))]


def _turns(turns: int, *parts: Callable[[], object]) -> list[float]:
    best = [float("inf")] * len(parts)
    for _ in range(turns):
        for i, part in enumerate(parts):
            start = time.perf_counter()
            part()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
