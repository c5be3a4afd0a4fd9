"""How long all inputs take through TensorRT on a GPU: generated, run, compared and reduced.

    python -m benchmarks.gpu_sweep --plugin libmish_exact.so --json gpu_sweep.json

Beside a device copy of the inputs' bytes, and in fp32 beside `polygraphy run` of the same plan
with host arrays on a part of the inputs, scaled; all measured in one run. Building a plan is
apart, and so is the start of `polygraphy run`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from verify import gate as gates
from verify.bands import bands
from verify.cases import Case
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.precision import Precision, by_name
from verify.replay import Command, tensorrt_run
from verify.replay.command import execute
from verify.run import model_of
from verify.sample_observation import no_limits
from verify.sweep.device import Device
from verify.sweep.run import sweep
from verify.sweep.span import whole
from verify.tolerances import Limits, load

_COMPARED = 1 << 23  # inputs

# What a user's data loader and comparison do, in plain NumPy: the inputs, evenly from all of
# them, Mish in float64, the error in ULP, and per band its worst, a histogram and the NaNs. It
# tells when it is first asked for inputs, when what the plan returned for them is there, and
# when it is done with a part of that.
_SCRIPT = """
import time
import numpy as np

COUNT, COMPARED = {count}, {compared}
EDGES = {edges}


def stamp(what):
    with open("stamps", "a") as file:
        file.write(f"{{what}} {{time.perf_counter()}}\\n")


def inputs():
    return (np.arange(COUNT, dtype=np.uint32) * np.uint32((1 << 32) // COUNT)).view(np.float32)


def load_data():
    stamp("asked")
    yield {{"x": inputs()}}


def compare_outputs(live, golden):
    stamp("returned")
    x, y = inputs(), np.asarray(live["y"])
    if y.shape != x.shape or y.dtype != x.dtype:
        raise ValueError(f"{{y.dtype}} {{y.shape}} came back")
    x, y = x[:: COUNT // COMPARED], y[:: COUNT // COMPARED]
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        t = np.exp(np.minimum(wide, 40.0))
        n = t * (t + 2.0)
        expected = wide * (n / (n + 2.0))
        ulp = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
        error = np.abs(y - expected) / ulp
    found = []
    for low, high in zip(EDGES, EDGES[1:]):
        some = (wide >= low) & (wide < high)
        errors = error[some]
        worst = int(np.nanargmax(errors)) if np.isfinite(errors).any() else -1
        buckets = np.bincount(np.ceil(errors[np.isfinite(errors)]).clip(0, 30).astype(int))
        found.append((worst, x[some][worst], buckets, int(np.isnan(errors).sum())))
    stamp("compared")
    return {{"y": True}}
"""


@click.command()
@click.option("--plugin", type=click.Path(path_type=Path), help="A plugin's shared library.")
@click.option("--turns", default=3, show_default=True, help="Sweeps with one plan.")
@click.option("--precision", "precisions", multiple=True, default=("fp32", "fp16"))
@click.option(
    "--polygraphy/--no-polygraphy", default=True, help="Measure `polygraphy run` in fp32 too."
)
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
    settled: dict[str, int] = {}
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
        settled = device.settled
        if not best or found["seconds"] < best["seconds"]:
            best = found
    console.print(
        "  settled by the host: " + ", ".join(f"{why} {count}" for why, count in settled.items())
    )
    row["settled"] = settled
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
    plan, count = device.plan_bytes(), device.chunk
    device.close()
    if polygraphy and precision.name == "fp32":
        row["polygraphy"] = beside(runner, case, model, plan, count, row["seconds"])
        console.print(
            "  polygraphy run: " + ", ".join(f"{k} {v}" for k, v in row["polygraphy"].items())
        )
    return row


def _limits(runner: Tensorrt, case: Case) -> Limits:
    """The contract, or none where there is none yet."""
    try:
        return load().limits(case, runner.status().version)
    except InputError:
        return no_limits(case.context)


def beside(
    runner: Tensorrt, case: Case, model: bytes, plan: bytes, count: int, seconds: float
) -> dict[str, Any]:
    """`polygraphy run` of the same plan, and how many times faster a sweep of ``seconds`` is.

    ``failed`` says why instead, where it did not do the work.
    """
    wanted = tensorrt_run(runner.replay(model, case.precision))
    words = list(wanted.words)
    plugins = words[words.index("--plugins") :][:2] if "--plugins" in words else []
    options = ["--model-type", "engine", "--trt", *plugins]
    found = measure(plan, "plan", options, wanted.environment, count)
    if "failed" not in found:
        inputs = 1 << case.precision.total_bits
        without = found["fed_run_fetched_seconds"] * inputs / found["inputs"]
        compared = found["compared_seconds"] * inputs / found["compared"]
        found["seconds_scaled"] = round(without + compared, 1)
        found["times_faster"] = round(found["seconds_scaled"] / seconds, 1)
        found["times_faster_than_without_comparison"] = round(without / seconds, 1)
    return found


def measure(
    model: bytes,
    name: str,
    options: list[str],
    environment: tuple[tuple[str, str], ...],
    count: int,
) -> dict[str, Any]:
    """Seconds of `polygraphy run` for that many fp32 inputs at once, by its scripts' own clock.

    From when it asks for the inputs, with the plan loaded, until it has the outputs; and from
    then until at most ``_COMPARED`` of them are compared.
    """
    import numpy as np
    from polygraphy.comparator import RunResults
    from polygraphy.json import save_json

    compared = min(count, _COMPARED)
    edges = [float(band.low) for band in bands(by_name("fp32"))[:-1]] + [float("inf")]
    shown = "[" + ", ".join(f'float("{edge}")' for edge in edges) + "]"
    golden = RunResults()
    golden.add([{"y": np.zeros(1)}], runner_name="golden")  # compared is with what a script makes
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        (folder / name).write_bytes(model)
        (folder / "user.py").write_text(
            _SCRIPT.format(count=count, compared=compared, edges=shown), encoding="utf-8"
        )
        save_json(golden, str(folder / "golden.json"))
        words = ["polygraphy", "run", name, *options]
        words += ["--data-loader-script", "user.py:load_data", "--load-outputs", "golden.json"]
        words += ["--compare-func-script", "user.py:compare_outputs"]
        ran = execute(Command(tuple(words), environment), folder, seconds=300)
        stamps = folder / "stamps"
        lines = stamps.read_text(encoding="utf-8").split() if stamps.exists() else []
    times = dict(zip(lines[::2], map(float, lines[1::2]), strict=True))
    if ran.code != 0 or list(times) != ["asked", "returned", "compared"]:
        said = " ".join(ran.output.split())[-500:]
        return {
            "failed": f"exit code {ran.code}, {', '.join(times) or 'no inputs asked for'}: {said}"
        }
    return {
        "inputs": count,
        "fed_run_fetched_seconds": round(times["returned"] - times["asked"], 4),
        "compared": compared,
        "compared_seconds": round(times["compared"] - times["returned"], 4),
    }


if __name__ == "__main__":
    main()
