"""TensorRT-RTX takes the plugin into a plan, on the CPU.

The library is built by its CMakeLists.txt against the headers of TensorRT 11.1, whose registry has
the layout of TensorRT-RTX 1.7 (10.16's has not: there the registration crashes). Everything that
loads it runs in a process of its own: a static registration is for a process's life, and the
wheel's parser opens the unversioned ``libtensorrt_rtx.so``, which only LD_LIBRARY_PATH can give it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.headers

HEADERS = "11.1"

BUILD_PLANS = """
import ctypes, json, sys
ctypes.CDLL(sys.argv[1])
import onnx
from onnx import TensorProto, helper
import tensorrt_rtx as trt
from polygraphy.backend.trt import (
    CreateConfig, EngineBytesFromNetwork, NetworkFromOnnxBytes, Profile
)

rows = []
for precision, element in (
    ("fp32", TensorProto.FLOAT), ("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)
):
    shape = ["batch", 12, 3, 5]
    node = helper.make_node("MishExact", ["x"], ["y"], domain="mish", plugin_version="1",
                            plugin_namespace="")
    graph = helper.make_graph(
        [node], precision,
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, shape)],
    )
    model = helper.make_model(
        graph, ir_version=10,
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("mish", 1)],
    )
    built = NetworkFromOnnxBytes(model.SerializeToString(), strongly_typed=True)()
    network = built[1]
    layer = network.get_layer(0)
    kind = str(layer.type)
    layer.__class__ = trt.IPluginV3Layer
    core = layer.plugin.get_capability_interface(trt.PluginCapabilityType.CORE)
    profile = Profile().add("x", (1, 12, 3, 5), (2, 12, 3, 5), (4, 12, 3, 5))
    plan = EngineBytesFromNetwork(built, config=CreateConfig(profiles=[profile]))()
    rows.append({
        "precision": precision, "layers": network.num_layers, "kind": kind,
        "name": core.plugin_name, "version": core.plugin_version,
        "namespace": core.plugin_namespace, "output": str(network.get_output(0).dtype),
        "rank": len(network.get_output(0).shape), "plan": len(bytes(plan)),
        "in_plan": b"MishExact" in bytes(plan),
    })
print("RESULT " + json.dumps(rows))
"""

CREATORS = """
import _ctypes, ctypes, json, sys
library = ctypes.CDLL(sys.argv[1])
import tensorrt_rtx as trt
registry = trt.get_plugin_registry()

def creators():
    return [
        [c.name, c.plugin_version, c.plugin_namespace]
        for c in registry.all_creators if "mish" in c.name.lower()
    ]

creator = registry.get_creator("MishExact", "1", "")
def make(fields):
    collection = trt.PluginFieldCollection(fields)
    try:
        return creator.create_plugin("mish", collection, trt.TensorRTPhase.BUILD) is not None
    except Exception:
        return False

import numpy
rows = {
    "loaded": creators(),
    "fields": len(creator.field_names),
    "made": make([]),
    "made_with_unknown_field": make(
        [trt.PluginField("slope", numpy.ones(1, numpy.float32), trt.PluginFieldType.FLOAT32)]
    ),
}
del creator
_ctypes.dlclose(library._handle)
rows["unloaded"] = creators()
print("RESULT " + json.dumps(rows))
"""

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def run(
    nvcc: str,
    tensorrt_headers: Path,
    plugin_sources: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Runs a script that gets the plugin's path, and returns the object that it prints."""
    wheel = importlib.util.find_spec("tensorrt_rtx_libs")
    if wheel is None or wheel.submodule_search_locations is None:
        pytest.skip("tensorrt-rtx is not installed")
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not on PATH")
    libraries = Path(wheel.submodule_search_locations[0])
    include = tensorrt_headers / HEADERS / "include"
    if not (include / "NvInferRuntime.h").is_file():
        pytest.skip(f"TENSORRT_HEADERS has no {HEADERS}/include/NvInferRuntime.h")

    root = tmp_path_factory.mktemp("rtx")
    (root / "lib").mkdir()
    link = root / "lib" / "libtensorrt_rtx.so"
    link.symlink_to(next(libraries.glob("libtensorrt_rtx.so.*")))
    (root / "include").symlink_to(include)
    configure: list[str | Path] = [cmake, "-S", plugin_sources, "-B", root / "build"]
    configure += [f"-DTENSORRT_ROOT={root}"]
    configure += ["-DMISH_TENSORRT_RTX=ON", "-DCMAKE_CUDA_ARCHITECTURES=90"]
    configure += [f"-DCMAKE_CUDA_COMPILER={nvcc}"]
    build: list[str | Path] = [cmake, "--build", root / "build"]
    for command in (configure, build):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr

    def run_script(script: str) -> Any:
        environment = dict(os.environ, POLYGRAPHY_USE_TENSORRT_RTX="1")
        environment["LD_LIBRARY_PATH"] = f"{root / 'lib'}:{libraries}"
        done = subprocess.run(
            [sys.executable, "-c", script, root / "build" / "libmish_exact.so"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, f"exit {done.returncode}:\n{done.stdout}{done.stderr}"
        (line,) = (li for li in done.stdout.splitlines() if li.startswith("RESULT "))
        return json.loads(line.removeprefix("RESULT "))

    return run_script


def test_plans_contain_the_plugin(run: Run) -> None:
    rows = {row["precision"]: row for row in run(BUILD_PLANS)}
    types = {"fp32": "DataType.FLOAT", "fp16": "DataType.HALF", "bf16": "DataType.BF16"}
    assert rows.keys() == types.keys()
    for precision, row in rows.items():
        assert row["layers"] == 1
        assert row["kind"] == "LayerType.PLUGIN_V3"
        assert (row["name"], row["version"], row["namespace"]) == ("MishExact", "1", "")
        assert row["output"] == types[precision]
        assert row["rank"] == 4
        assert row["plan"] > 0
        assert row["in_plan"], "the plan does not name the plugin"


def test_creator_lives_as_long_as_the_library(run: Run) -> None:
    rows = run(CREATORS)
    assert rows["loaded"] == [["MishExact", "1", ""]]
    assert rows["fields"] == 0
    assert rows["made"]
    assert not rows["made_with_unknown_field"]
    assert rows["unloaded"] == [], "an unloaded creator is still in the registry"


@pytest.mark.parametrize("flavour", ["OFF", "ON"])
def test_cmake_says_what_is_missing(
    flavour: str, nvcc: str, plugin_sources: Path, tmp_path: Path
) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not on PATH")
    done = subprocess.run(
        [
            *(cmake, "-S", plugin_sources, "-B", tmp_path, f"-DTENSORRT_ROOT={tmp_path}"),
            *(f"-DCMAKE_CUDA_COMPILER={nvcc}", f"-DMISH_TENSORRT_RTX={flavour}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    library = "libtensorrt_rtx.so" if flavour == "ON" else "libnvinfer.so"
    said = " ".join(done.stderr.split())
    assert f"mish_exact needs TensorRT's NvInferRuntime.h and {library}: set TENSORRT_ROOT" in said
