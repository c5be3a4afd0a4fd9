"""What the plugin answers TensorRT: formats, volumes, fields, serialization.

``glue.cc`` replaces TensorRT's registry and logger and the kernel, so it runs without any of them,
and under the address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Compile = Callable[[list[str | Path]], None]

pytestmark = pytest.mark.headers


@pytest.mark.parametrize("release", ["8.6", "10.0", "10.16", "11.1"])
def test_glue(
    release: str,
    compile_source: Compile,
    nvcc: str,
    tensorrt_headers: Path,
    plugin_sources: Path,
    tmp_path: Path,
) -> None:
    include = tensorrt_headers / release / "include"
    if not (include / "NvInferRuntime.h").is_file():
        pytest.skip(f"TENSORRT_HEADERS has no {release}/include/NvInferRuntime.h")
    sources = ["mish_tensor.cc", "mish_plugin_v2.cc", "mish_plugin_v3.cc"]
    compile_source(
        [
            *(
                nvcc,
                "-std=c++17",
                "-O1",
                "-g",
                "-cudart",
                "none",
                "-Xcompiler=-Wall,-Wextra,-Werror",
            ),
            *(f"-Xcompiler=-fsanitize={kind}" for kind in ("address", "undefined")),
            *("-Xcompiler=-fno-sanitize-recover=all", "-isystem", include, "-I", plugin_sources),
            Path(__file__).with_name("glue.cc"),
            *(plugin_sources / source for source in sources),
            *("-o", tmp_path / "glue"),
        ]
    )
    done = subprocess.run([tmp_path / "glue"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "0 failures\n"
