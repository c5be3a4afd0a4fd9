"""The plugin compiles without a warning against every TensorRT release that it is written for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Compile = Callable[[list[str | Path]], None]

pytestmark = pytest.mark.headers

RELEASES = ["8.6", "10.0", "10.16", "11.1"]
SOURCES = [
    "mish_kernel.cu",
    "mish_tensor.cc",
    "mish_plugin_v2.cc",
    "mish_plugin_v3.cc",
    "mish_register.cc",
]
# The headers' own warnings are not the plugin's: -isystem. All others stop the compiler.
OPTIONS = [
    *("-std=c++17", "-fmad=false", "-gencode=arch=compute_90,code=sm_90"),
    *("-Werror", "all-warnings", "-Xcompiler=-fPIC,-Wall,-Wextra,-Werror"),
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("release", RELEASES)
def test_compiles_without_warnings(
    release: str,
    source: str,
    compile_source: Compile,
    nvcc: str,
    tensorrt_headers: Path,
    plugin_sources: Path,
    tmp_path: Path,
) -> None:
    include = tensorrt_headers / release / "include"
    if not (include / "NvInferRuntime.h").is_file():
        pytest.skip(f"TENSORRT_HEADERS has no {release}/include/NvInferRuntime.h")
    made = tmp_path / "made.o"
    compile_source([nvcc, *OPTIONS, "-isystem", include, "-c", plugin_sources / source, "-o", made])
    assert made.stat().st_size > 0


@pytest.mark.parametrize("capability", ["75", "86", "89", "100", "120"])
def test_kernel_compiles_for_other_gpus(
    capability: str, compile_source: Compile, nvcc: str, plugin_sources: Path, tmp_path: Path
) -> None:
    """Both ways of an fp32 Mish: few float64 units (7.5, 8.6, 8.9, 12.0) and many (10.0)."""
    options = [o.replace("90", capability) for o in OPTIONS]
    made = tmp_path / "made.o"
    compile_source([nvcc, *options, "-c", plugin_sources / "mish_kernel.cu", "-o", made])
    assert made.stat().st_size > 0


def test_bench_compiles(
    compile_source: Compile, nvcc: str, plugin_sources: Path, tmp_path: Path
) -> None:
    options = [*OPTIONS, "-Xcompiler=-ffp-contract=off"]
    sources = [plugin_sources / "bench.cu", plugin_sources / "mish_kernel.cu"]
    compile_source([nvcc, *options, *sources, "-o", tmp_path / "bench"])
