"""The kernel on a GPU: every input's result as the CPU's sweep has it, and nothing else written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Compile = Callable[[list[str | Path]], None]

pytestmark = pytest.mark.gpu

# What sweep.cc prints for each route after finding no misrounded result.
CHECKSUMS = {
    "fp32": "0x4E17DB3F230E93CF",
    "few_float64": "0x4E17DB3F230E93CF",
    "fp16": "0x12D58DF0240AABAE",
    "bf16": "0x1FFCFA4AE63370F9",
}


def test_every_input_on_the_gpu(
    compile_source: Compile, nvcc: str, plugin_sources: Path, tmp_path: Path
) -> None:
    sources = [plugin_sources / "bench.cu", plugin_sources / "mish_kernel.cu"]
    options = ["-std=c++17", "-O3", "-fmad=false", "-Xcompiler=-ffp-contract=off", "-arch=native"]
    compile_source([nvcc, *options, *sources, "-o", tmp_path / "bench"])
    done = subprocess.run([tmp_path / "bench"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {r["every_input"]: r["checksum"] for r in rows if "every_input" in r} == CHECKSUMS
    (reciprocal,) = (r for r in rows if "reciprocal" in r)
    assert reciprocal["worst_log2"] < reciprocal["allowed_log2"] == -17
    guards = {r["guards"]: r for r in rows if "guards" in r}
    assert guards.keys() == {"fp32", "fp16", "bf16"}
    assert all(r["broken"] == 0 and r["launches"] > 1000 for r in guards.values())
    (large,) = (r for r in rows if "large" in r)
    assert large["wrong"] == 0
