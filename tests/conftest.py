from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import configuration, settings

from verify.plumbing.check import Subject

ROOT = Path(__file__).resolve().parents[1]

# Nothing is written to the current folder, not even Hypothesis's own caches.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
settings.register_profile("tests", database=None, deadline=None)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def native_plugin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], Path]:
    """native_plugin(name, kernel, release): the plugin's library around a kernel's source.

    Taken from the folder MISH_PLUGINS as NAME.so, or built with nvcc against the release in
    TENSORRT_HEADERS; skips where neither is there.
    """

    def make(name: str, kernel: str, release: str) -> Path:
        ready = Path(os.environ.get("MISH_PLUGINS", "/none")) / f"{name}.so"
        if ready.is_file():
            return ready
        nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
        include = Path(os.environ.get("TENSORRT_HEADERS", "/none")) / release / "include"
        if nvcc is None or not include.is_dir():
            pytest.skip(
                f"no {name}.so in MISH_PLUGINS, and no nvcc with TENSORRT_HEADERS/{release}"
            )
        library = tmp_path_factory.mktemp(name) / f"{name}.so"
        sources = ["mish_plugin_v2.cc", "mish_plugin_v3.cc", "mish_register.cc", "mish_tensor.cc"]
        command = [nvcc, "-std=c++17", "-O2", "-fmad=false", "-shared", "-Xcompiler", "-fPIC"]
        command += [
            "-gencode=arch=compute_90,code=sm_90",
            "-gencode=arch=compute_80,code=compute_80",
        ]
        command += ["-isystem", str(include), "-I", str(ROOT / "plugin"), "-o", str(library)]
        command += [kernel, *(str(ROOT / "plugin" / source) for source in sources)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return library

    return make


@pytest.fixture
def subject() -> Subject:
    """A plugin for TensorRT 8.6 that there is no library of."""
    return Subject(
        library="",
        preload=(),
        tensorrt="",
        op="MishExact",
        version="1",
        namespace="",
        fields=(),
        precisions=("fp32",),
        required=("fp32",),
        lacking=(),
        on_request=False,
        static=False,
        obey=True,
        typed=False,
        tactic_sources=False,
        largest=2**31 - 1,
        largest_rank=7,
    )
