"""What the NVIDIA driver says, without any CUDA package."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Gpu", "driver", "driver_cuda", "gpu"]


@dataclass(frozen=True)
class Gpu:
    """The first GPU: name, compute capability, and the CUDA version that the driver supports."""

    name: str
    capability: tuple[int, int]
    cuda: tuple[int, int]


# CUDA driver API: CUdevice_attribute values and the return code for success.
_MAJOR, _MINOR, _SUCCESS = 75, 76, 0


@lru_cache(maxsize=1)
def gpu() -> Gpu | str:
    """The first GPU, or one line saying why there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1) on this machine"
    if cuda.cuInit(0) != _SUCCESS:
        return "the NVIDIA driver finds no usable GPU (cuInit failed)"
    device, version = ctypes.c_int(), ctypes.c_int()
    if cuda.cuDeviceGet(ctypes.byref(device), 0) != _SUCCESS:
        return "the NVIDIA driver finds no GPU"
    cuda.cuDriverGetVersion(ctypes.byref(version))
    name = ctypes.create_string_buffer(128)
    cuda.cuDeviceGetName(name, len(name), device)
    major, minor = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return Gpu(
        name.value.decode(errors="replace"),
        (major.value, minor.value),
        (version.value // 1000, version.value % 1000 // 10),
    )


@lru_cache(maxsize=1)
def driver() -> str:
    """The driver's release, such as ``580.95.05``; empty where NVML doesn't tell it.

    By NVML, which comes with the driver: the driver API only tells the CUDA version.
    """
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return ""
    if nvml.nvmlInit_v2() != _SUCCESS:
        return ""
    # NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
    release = ctypes.create_string_buffer(80)
    try:
        found = nvml.nvmlSystemGetDriverVersion(release, ctypes.c_uint(len(release)))
    finally:
        nvml.nvmlShutdown()
    return release.value.decode(errors="replace") if found == _SUCCESS else ""


def driver_cuda() -> tuple[int, int] | None:
    """The CUDA version that the driver supports, None without a driver or a GPU."""
    found = gpu()
    return None if isinstance(found, str) else found.cuda
