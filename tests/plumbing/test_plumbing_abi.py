"""Slots and sizes that `abi` relies on, against TensorRT 8.6's own headers."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from verify.plumbing import abi

_SOURCE = """
#include <NvInferRuntime.h>
#include <cstddef>
#include <cstdio>
#include <cstring>
using namespace nvinfer1;
template <class Member> long slot(Member member) {
  long place;
  std::memcpy(&place, &member, sizeof place);
  return (place - 1) / static_cast<long>(sizeof(void *));
}
int main() {
  std::printf("%ld %ld %ld %ld %ld %ld %ld %ld %zu %zu %zu %zu %zu\\n",
              slot(&IPluginRegistry::registerCreator), slot(&IPluginRegistry::getPluginCreator),
              slot(&IPluginCreator::getPluginName), slot(&IPluginCreator::getPluginVersion),
              slot(&IPluginCreator::getFieldNames),
              slot(&IPluginCreator::createPlugin), slot(&IPluginV2::destroy),
              slot(&IPluginV2DynamicExt::supportsFormatCombination), sizeof(PluginTensorDesc),
              offsetof(PluginTensorDesc, type), offsetof(PluginTensorDesc, format),
              sizeof(PluginField), offsetof(PluginField, length));
}
"""


@pytest.mark.headers
def test_slots_and_sizes_are_those_of_the_headers(tmp_path: Path) -> None:
    include = Path(os.environ.get("TENSORRT_HEADERS", "/none")) / "8.6" / "include"
    compiler = shutil.which("g++")
    cuda = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "include"
    if not include.is_dir() or compiler is None or not cuda.is_dir():
        pytest.skip("needs TENSORRT_HEADERS/8.6, CUDA's headers and g++")
    source, program = tmp_path / "slots.cc", tmp_path / "slots"
    source.write_text(_SOURCE)
    command = [compiler, "-std=c++17", "-w", f"-I{include}", f"-I{cuda}", str(source)]
    subprocess.run([*command, "-o", str(program)], check=True)
    said = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    assert [int(word) for word in said.split()] == [
        abi._REGISTER_CREATOR,
        abi._GET_PLUGIN_CREATOR,
        abi._GET_PLUGIN_NAME,
        abi._GET_PLUGIN_VERSION,
        abi._GET_FIELD_NAMES,
        abi._CREATE_PLUGIN,
        abi._DESTROY,
        abi._SUPPORTS_FORMAT_COMBINATION,
        ctypes.sizeof(abi.Desc),
        abi.Desc.type.offset,
        abi.Desc.format.offset,
        ctypes.sizeof(abi._Field),
        abi._Field.length.offset,
    ]


def test_descriptions_end_in_garbage() -> None:
    array = abi.descs((0, 0), (1, 2))
    assert len(array) == 3
    assert (array[1].type, array[1].format, array[1].dims.nbDims) == (1, 2, 4)
    assert array[2].type == 0x5A5A5A5A
