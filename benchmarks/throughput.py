"""What a plugin costs on a GPU beside composed layers and beside a copy of the same bytes.

    python -m benchmarks.throughput --plugin libmish_exact.so

Every row is measured in one process: the plans and the copy take turns, timed by CUDA events
around several calls; the median turn counts. Inputs rotate, so that nothing stays in the L2 cache.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import models
from models.forms import composed, plugin
from models.graph import Graph, Scope
from models.model import model_of
from verify.engines import execution
from verify.engines.inspection import layers_of, reformats
from verify.engines.nvidia import gpu
from verify.engines.recipe import PluginName, recipe
from verify.engines.registry import load
from verify.engines.tensorrt import version_at_hand
from verify.engines.version import strategy
from verify.library import read
from verify.precision import by_name

_SETS = 3  # of input and output memory, taken in turn
_CALLS = 12  # between two events
_CHAIN = (8, 64, 128, 128)  # images, channels, height, width


@dataclass(frozen=True)
class Plan:
    """A built plan with one input x and one output y of the same shape."""

    name: str
    engine: Any
    context: Any
    shape: tuple[int, ...]
    kinds: tuple[str, ...]
    information: str


@click.command()
@click.option("--plugin", "library", type=click.Path(path_type=Path), required=True)
@click.option("--op", default="MishExact", show_default=True)
@click.option("--elements", default=1 << 26, show_default=True)
@click.option("--turns", default=25, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option(
    "--layers", type=click.Path(path_type=Path), help="Folder for what plans are made of."
)
def main(
    library: Path,
    op: str,
    elements: int,
    turns: int,
    json_file: Path | None,
    layers: Path | None,
) -> None:
    """Print GB/s and the ratios of plugin to composed and to a copy; times of a chain."""
    found = load(read(library), ())
    assert found is not None
    name = PluginName(op, "1", "")
    rows: list[dict[str, Any]] = []
    for precision in ("fp32", "fp16"):
        rows += _alone(name, precision, elements, turns, layers)
    rows += _chain(name, turns, layers)
    where = gpu()
    facts = {
        "tensorrt": version_at_hand(),
        "gpu": where if isinstance(where, str) else where.name,
        "elements": elements,
        "turns": turns,
    }
    if json_file:
        json_file.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1))
    _print(rows, facts)


def _alone(
    name: PluginName, precision: str, elements: int, turns: int, layers: Path | None
) -> list[dict[str, Any]]:
    plans = []
    for form in ("composed", "plugin"):
        model = models.serialize(models.build(form, "alone", precision))
        plans.append(_plan(form, model, precision, name, (elements,)))
        _keep(plans[-1], f"{form}-alone-{precision}", layers)
    size = by_name(precision).bits_dtype.itemsize
    return _measure(f"alone, {precision}", plans, precision, 2 * elements * size, turns)


def _chain(name: PluginName, turns: int, layers: Path | None) -> list[dict[str, Any]]:
    """Conv → Mish → Conv → Mish in fp16; bytes are those of x and y alone."""
    plans = []
    for form, mish in (("composed", composed), ("plugin", plugin(models.PluginNode(name.op)))):
        graph = Graph("fp16", _CHAIN)
        tensor = graph.input("x", _CHAIN)
        rng = np.random.default_rng(0)
        for index in range(2):
            weights = rng.normal(0, 0.05, (_CHAIN[1], _CHAIN[1], 3, 3))
            held = graph.initializer(f"weights_{index}", weights)
            scope = Scope(graph, f"conv_{index}")
            after = scope("Conv", tensor, held, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            tensor = graph.output("y", _CHAIN) if index else graph.tensor("link", _CHAIN)
            mish(Scope(graph, f"mish_{index}"), after, tensor)
        model = models.serialize(model_of(graph, "chain"))
        plans.append(_plan(form, model, "fp16", name, _CHAIN))
        _keep(plans[-1], f"{form}-chain-fp16", layers)
    nbytes = 2 * int(np.prod(_CHAIN)) * 2
    return _measure("conv, mish, conv, mish, fp16", plans, "fp16", nbytes, turns)


def _plan(
    form: str, model: bytes, precision: str, name: PluginName, shape: tuple[int, ...]
) -> Plan:
    made = recipe(
        model,
        precision,
        strategy(version_at_hand()),
        plugin=name if form == "plugin" else None,
        tactic_sources=strategy(version_at_hand()).version >= (10, 0),
    )
    made = replace(made, optimization_level=None)  # a user's plan is tuned
    engine, _ = execution.build(made.at(shape) if made.profile else made)
    context = engine.create_execution_context()
    information = execution.information(engine, context)
    kinds = tuple(layer.kind for layer in layers_of(information))
    return Plan(form, engine, context, shape, kinds, information)


def _keep(plan: Plan, name: str, folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(plan.information)


def _measure(
    title: str, plans: Sequence[Plan], precision: str, nbytes: int, turns: int
) -> list[dict[str, Any]]:
    from cuda.core import Device, EventOptions

    device = Device(0)
    device.set_current()
    stream = device.create_stream()
    timed = EventOptions(timing_enabled=True)
    width = by_name(precision)
    count = int(np.prod(plans[0].shape))
    size = count * width.bits_dtype.itemsize
    sets = [tuple(device.allocate(size, stream=stream) for _ in range(2)) for _ in range(_SETS)]
    rng = np.random.default_rng(1)
    some = width.round(rng.normal(0, 4, min(count, 1 << 22)))
    for x, _y in sets:
        _upload(x, some, count)

    def enqueue(context: Any, index: int) -> None:
        x, y = sets[index % _SETS]
        context.set_tensor_address("x", int(x.handle))
        context.set_tensor_address("y", int(y.handle))
        if not context.execute_async_v3(int(stream.handle)):
            raise RuntimeError("enqueue failed")

    def copy(index: int) -> None:
        x, y = sets[index % _SETS]
        x.copy_to(y, stream=stream)

    work: dict[str, Callable[[int], None]] = {}
    for plan in plans:
        work[plan.name] = partial(enqueue, plan.context)
    work["copy"] = copy
    spent: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(turns + 3):  # the first three warm up
        for name, call in work.items():
            start = stream.record(options=timed)
            for index in range(_CALLS):
                call(turn + index)
            end = stream.record(options=timed)
            end.sync()
            if turn >= 3:
                spent[name].append((end - start) / _CALLS * 1e-3)
    median = {name: statistics.median(times) for name, times in spent.items()}
    kinds = {plan.name: plan.kinds for plan in plans}
    return [
        {
            "what": title,
            "name": name,
            "seconds": seconds,
            "spread": [min(spent[name]), max(spent[name])],
            "gb_per_s": nbytes / seconds * 1e-9,
            "to_composed": median["composed"] / seconds,
            "to_copy": median["copy"] / seconds,
            "layers": list(kinds.get(name, ())),
            "reformats": reformats(kinds.get(name, ())),
        }
        for name, seconds in median.items()
    ]


def _upload(buffer: Any, some: Any, count: int) -> None:
    from polygraphy import cuda

    step = len(some)
    for start in range(0, count, step):
        part = np.ascontiguousarray(some[: count - start]).view(np.uint8)
        cuda.wrapper().memcpy(
            int(buffer.handle) + start * some.itemsize,
            part.ctypes.data,
            part.nbytes,
            cuda.MemcpyKind.HostToDevice,
        )


def _print(rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("what", "by", "µs", "GB/s", "of composed's throughput", "of a copy's", "layers"):
        table.add_column(title, justify="left" if title in ("what", "by", "layers") else "right")
    for row in rows:
        layers = f"{len(row['layers'])}, {row['reformats']} reformats" if row["layers"] else ""
        table.add_row(
            row["what"], row["name"], f"{row['seconds'] * 1e6:.1f}", f"{row['gb_per_s']:.0f}",
            f"{row['to_composed']:.3f}", f"{row['to_copy']:.3f}", layers,
        )  # fmt: skip
    console = Console(width=140)
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in facts.items()), highlight=False)


if __name__ == "__main__":
    main()
