"""How long all inputs take through TensorRT on a GPU: generated, run, compared and reduced.

    python -m benchmarks.gpu_sweep --plugin libmish_exact.so --json gpu_sweep.json

Beside a device copy of the inputs' bytes, and beside `polygraphy run` with host arrays on a part
of the inputs, scaled; all measured in one run, the fastest of a few turns each. Building a plan
is apart.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from verify import gate as gates
from verify.cases import Case
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.precision import Precision, by_name
from verify.replay import tensorrt_run
from verify.run import model_of
from verify.sample_observation import no_limits
from verify.sweep.device import Device
from verify.sweep.run import sweep
from verify.sweep.span import whole
from verify.tolerances import Limits, load

_PART = 1 << 22  # inputs of `polygraphy run`, which is what the profile has room for

# What a user's data loader and comparison do, with the oracle spared: only that results are equal
# to themselves.
_SCRIPT = """
import time
import numpy as np

COUNT = {count}


def load_data():
    bits = np.arange(COUNT, dtype=np.{unsigned})
    yield {{"x": bits.view(np.{kind})}}
"""


@click.command()
@click.option("--plugin", type=click.Path(path_type=Path), help="A plugin's shared library.")
@click.option("--turns", default=3, show_default=True, help="Sweeps with one plan.")
@click.option("--precision", "precisions", multiple=True, default=("fp32", "fp16"))
@click.option("--polygraphy/--no-polygraphy", default=True, help="Measure `polygraphy run` too.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write it here too.")
def main(
    plugin: Path | None,
    turns: int,
    precisions: tuple[str, ...],
    polygraphy: bool,
    json_file: Path | None,
) -> None:
    """Print seconds, ratios, the worst of each band and the checksum."""
    console, rows = Console(soft_wrap=True, highlight=False), []
    targets: list[gates.Target | None] = [None]
    if plugin is not None:
        targets.append(gates.register(gates.order_of(plugin, "", "", None, (), ())))
    for target in targets:
        runner = Tensorrt(None if target is None else target.plugin)
        for name in precisions:
            row = _measure(console, runner, target, by_name(name), turns, polygraphy)
            rows.append(row)
            console.print()
        runner.close()
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _measure(
    console: Console,
    runner: Tensorrt,
    target: gates.Target | None,
    precision: Precision,
    turns: int,
    polygraphy: bool,
) -> dict[str, Any]:
    form = "composed" if target is None else "plugin"
    case = Case(form, "alone", precision, "tensorrt")
    model = model_of(case, None if target is None else target.node)
    device = Device(runner, case, model, _limits(runner, case))
    span = whole(precision)
    row: dict[str, Any] = {"case": case.id, "build_seconds": round(device.build_seconds, 2)}
    console.print(f"{case.id}: plan built in {row['build_seconds']} s, {device.chunk} a call")
    best: dict[str, Any] = {}
    for _ in range(turns):
        record, ended = sweep(device, runner, case, model, _limits(runner, case), span)
        if ended is not None:
            raise ended
        copy = device.copy_seconds(span.inputs)
        found = {
            "seconds": record.timing.seconds,
            **{f"{what}_seconds": round(spent, 4) for what, spent in device.busy().items()},
            "copy_seconds": round(copy, 4),
            "ratio_to_copy": round(record.timing.seconds / copy, 2),
        }
        console.print("  " + ", ".join(f"{key} {value}" for key, value in found.items()))
        if not best or found["seconds"] < best["seconds"]:
            best = found
    row |= {**best, "checksum": record.checksum, "coverage": record.coverage}
    row["verdict"] = record.verdict
    row["bands"] = [
        {
            "band": band.band,
            "result": band.result,
            "inputs": band.samples,
            "worst_ulp": band.worst.error_ulp,
            "x": band.worst.x,
            "x_bits": band.worst.x_bits,
            "beyond": band.breaches,
        }
        for band in record.tally.bands
    ]
    for band in row["bands"]:
        console.print(
            f"  {band['band']:14} {band['result']:9} {band['inputs']:>10} inputs, worst "
            f"{band['worst_ulp']:.6g} ULP at {band['x']:.9g} ({band['x_bits']}), "
            f"{band['beyond']} beyond"
        )
    console.print(f"  {record.verdict}, {record.coverage}, checksum {record.checksum}")
    device.close()
    if polygraphy:
        row["polygraphy"] = _polygraphy(runner, model, precision, row["seconds"])
        console.print("  " + ", ".join(f"{k} {v}" for k, v in row["polygraphy"].items()))
    return row


def _limits(runner: Tensorrt, case: Case) -> Limits:
    """The contract, or none where there is none yet."""
    try:
        return load().limits(case, runner.status().version)
    except InputError:
        return no_limits(case.context)


def _polygraphy(
    runner: Tensorrt, model: bytes, precision: Precision, seconds: float
) -> dict[str, Any]:
    """`polygraphy run` with host arrays on a part of the inputs, twice, so that starts cancel out.

    Its own command line on a plan that is loaded from a file: N and 9 N iterations of it differ
    by 8 N iterations of feeding, running and fetching.
    """
    count = min(_PART, 1 << precision.total_bits)
    wanted = runner.replay(model, precision)
    kind = {"fp32": "float32", "fp16": "float16"}[precision.name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(wanted.model)
        script = _SCRIPT.format(count=count, unsigned=f"uint{precision.total_bits}", kind=kind)
        command = tensorrt_run(wanted)
        words = [word for word in command.words[2:] if word != "model.onnx"]
        options = words[: words.index("--data-loader-script")]
        build = ["run", "model.onnx", *options, "--save-engine", "plan"]
        _run(folder, command.environment, build)
        plugins = options[options.index("--plugins") :][:2] if "--plugins" in options else []
        spent = []
        for iterations in (1, 9):
            loop = f"\nREPEAT = {iterations}\n"
            (folder / "data.py").write_text(
                script.replace("    yield", "    for _ in range(REPEAT):\n        yield") + loop
            )
            again = ["run", "plan", "--model-type", "engine", "--trt", *plugins]
            again += ["--data-loader-script", "data.py"]
            start = time.perf_counter()
            _run(folder, command.environment, again)
            spent.append(time.perf_counter() - start)
    per_input = (spent[1] - spent[0]) / (8 * count)
    whole_seconds = per_input * (1 << precision.total_bits)
    return {
        "polygraphy_inputs": 8 * count,
        "polygraphy_seconds_scaled": round(whole_seconds, 3),
        "times_faster": round(whole_seconds / seconds, 1),
        "whole_command_seconds": round(spent[0], 2),
    }


def _run(folder: Path, environment: tuple[tuple[str, str], ...], words: list[str]) -> None:
    import os

    program = "import sys; from polygraphy.tools import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={**os.environ, **dict(environment)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = re.sub(r"\s+", " ", done.stdout[-500:] + done.stderr[-500:])
        raise InputError(f"polygraphy {' '.join(words)}: exit code {done.returncode}: {said}")


if __name__ == "__main__":
    main()
