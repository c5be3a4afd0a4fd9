"""SHIP and DO NOT SHIP, on real TensorRT and a GPU; nowhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import models
from verify.engines.tensorrt import Tensorrt
from verify.gate import Order, register
from verify.library import read
from verify.precision import FP16, FP32, Precision

Gate = Callable[..., "subprocess.CompletedProcess[str]"]
Native = Callable[[str, str, str], Path]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def release() -> str:
    """The release whose headers fit the TensorRT at hand."""
    status = Tensorrt().status()
    if not status.executes:
        pytest.skip(status.reason)
    major = int(status.version.split(".")[0])
    return {8: "8.6", 10: "10.16", 11: "11.1"}[major]


@pytest.fixture
def right(native_plugin: Native, release: str) -> Path:
    return native_plugin("libmish_exact", str(ROOT / "plugin" / "mish_kernel.cu"), release)


@pytest.fixture
def published(native_plugin: Native, release: str) -> Path:
    kernel = str(Path(__file__).with_name("published_kernel.cu"))
    return native_plugin("libmish_published", kernel, release)


@pytest.mark.gpu
@pytest.mark.parametrize("more", [(), ("--quick",)])
def test_the_reference_plugin_ships(gate: Gate, right: Path, more: tuple[str, ...]) -> None:
    done = gate("--plugin", right, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("SHIP: ")


@pytest.mark.gpu
def test_the_published_formula_does_not_ship_and_its_lines_show_why(
    gate: Gate, published: Path, tmp_path: Path
) -> None:
    few = ["--precision", "fp32", "--context", "alone", "--quick"]
    done = gate("--plugin", published, *few, "--json", tmp_path / "r")
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("DO NOT SHIP: plugin-alone-fp32-tensorrt: ")
    assert "NOT REPRODUCED" not in done.stdout
    record = json.loads((tmp_path / "r").read_text())
    found = [f for f in record["findings"] if f["case"] == "plugin-alone-fp32-tensorrt"]
    assert any(f["check"] == "limits" and f["band"] == "negative tail" for f in found)
    assert re.search(r"beside    \S+ by composed, ONNX Runtime", done.stdout)


@pytest.mark.gpu
def test_one_line_alone_shows_the_finding(gate: Gate, published: Path) -> None:
    done = gate("--plugin", published, "--precision", "fp16", "--check", "limits", "--quick")
    line = next(x for x in done.stdout.splitlines() if x.startswith("  replay    cd "))
    words = line.removeprefix("  replay").strip()
    again = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "replay: FAIL: " in again.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [FP32, FP16], ids=lambda p: str(p.name))
def test_a_plugins_plan_is_inspected(right: Path, precision: Precision) -> None:
    target = register(Order(read(right)))
    runner = Tensorrt(target.plugin)
    model = models.serialize(models.build("plugin", "conv", precision.name))
    try:
        with runner.open(model, precision) as session:
            assert [layer.plugin for layer in session.layers if layer.is_plugin] == ["MishExact"]
    finally:
        runner.close()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [FP32, FP16], ids=lambda p: str(p.name))
@pytest.mark.parametrize("rank", range(7))
def test_composed_layers_by_the_network_api_agree_with_onnx(
    precision: Precision, rank: int, release: str
) -> None:
    runner = Tensorrt()
    model = models.serialize(models.build("composed", "alone", precision.name, rank=rank))
    shape = (5, *models.INNER_DIMS[: rank - 1])[:rank]
    x = np.linspace(-20, 20, int(np.prod(shape)), dtype=np.float64).reshape(shape)
    value = precision.round(x)
    with runner.open(model, precision) as session:
        y = session.run(value)["y"]
    assert (y.shape, y.dtype) == (value.shape, value.dtype)
    if rank == 1:  # the inner sizes of the other ranks differ
        with runner.open_layers(precision) as session:
            np.testing.assert_array_equal(session.run(value)["y"], y)
    with runner.open(model, precision) as session:
        empty = session.run(value[:0])["y"] if rank else value
    assert empty.size == (0 if rank else 1)


@pytest.mark.gpu
def test_a_plan_is_built_once(release: str) -> None:
    runner = Tensorrt()
    model = models.serialize(models.build("composed", "alone", "fp32"))
    runner.open(model, FP32)
    first = os.times().elapsed
    runner.open(model, FP32)
    assert os.times().elapsed - first < 0.5


@pytest.mark.headers
@pytest.mark.parametrize("name", ["libmish_exact", "libmish_published"])
def test_the_plugins_register_without_a_gpu(native_plugin: Native, name: str) -> None:
    kernels = {"libmish_exact": ROOT / "plugin" / "mish_kernel.cu"}
    kernel = kernels.get(name, Path(__file__).with_name("published_kernel.cu"))
    library = read(native_plugin(name, str(kernel), "8.6"))
    assert "getPluginRegistry" in library.leaves_to_loader
    if not Tensorrt().status().version.startswith("8.6"):
        pytest.skip("TensorRT 8.6 is not installed")
    target = register(Order(library))
    assert (target.node.op, target.node.version, target.node.fields) == ("MishExact", "1", ())
    assert target.plugin.tensorrt.endswith("libnvinfer.so.8")
