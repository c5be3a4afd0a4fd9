"""Which TensorRT and CUDA bindings to install: `python -m verify.requirements` prints pip's words.

The session that runs it installs what it prints; a line that begins with ``#`` says why there
is nothing to install. Importing this needs the standard library only.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SYSTEM", "Choice", "bindings", "choose", "find_system", "link_system", "missing"]

SYSTEM = "system"  # --tensorrt system: one that is installed on this machine
_OLDEST_CUDA = 12
_NEWEST = 11  # the last major version that this project knows

# TensorRT 8.6.0 is the only release before 10 of which PyPI has the libraries themselves. Its
# wheel stops at CPython 3.10, and does not say what it was linked against.
_PINS_8 = ("tensorrt==8.6.0", "nvidia-cudnn-cu12<9", "nvidia-cublas-cu12<13", "numpy<2")


@dataclass(frozen=True)
class Choice:
    """pip's words for TensorRT, or why there are none; ``system``: link the installed one."""

    words: tuple[str, ...] = ()
    reason: str = ""
    system: bool = False


def choose(
    *,
    driver_cuda: tuple[int, int] | None,
    python: tuple[int, int],
    asked: str = "",
    linked_major: int | None = None,
) -> Choice:
    """What to install on a machine.

    ``driver_cuda``: the CUDA version that the NVIDIA driver supports, None without a driver.
    ``asked``: a version, ``system`` or nothing. ``linked_major``: the major version that a
    plugin library is linked against. An asked version goes first, then the library's; a
    current release for the driver's CUDA where neither is given.
    """
    if asked == SYSTEM:
        return Choice(system=True)
    if driver_cuda is None:
        return Choice(reason="no NVIDIA driver: TensorRT is not installed")
    if driver_cuda[0] < _OLDEST_CUDA:
        told = ".".join(map(str, driver_cuda))
        return Choice(
            reason=f"the NVIDIA driver supports CUDA {told}; TensorRT needs {_OLDEST_CUDA} or later"
        )
    wanted = asked or ("" if linked_major is None else str(linked_major))
    if not wanted:
        return Choice((f"tensorrt-cu{min(driver_cuda[0], 13)}<{_NEWEST + 1}",))
    if not re.fullmatch(r"\d+(\.\d+)*", wanted):
        return Choice(reason=f"--tensorrt {wanted}: not a version; give one, or {SYSTEM}")
    version = tuple(int(part) for part in wanted.split("."))
    if wanted in ("8", "8.6", "8.6.0"):
        if python > (3, 10):
            return Choice(
                reason="TensorRT 8.6.0 needs CPython 3.10: nox --force-python 3.10 -s SESSION -- …"
            )
        return Choice(_PINS_8)
    if version < (10,):
        return Choice(
            reason=f"PyPI has no whole wheel of TensorRT {wanted}: install it, then "
            f"--tensorrt {SYSTEM}"
        )
    # Wheels for CUDA 13 begin with 10.13.2; a newer driver runs those for CUDA 12.
    thirteen = driver_cuda[0] >= 13 and (len(version) == 1 or version >= (10, 13, 2))
    package = "tensorrt-cu13" if thirteen else "tensorrt-cu12"
    if len(version) == 1:
        return Choice((f"{package}>={wanted},<{version[0] + 1}",))
    # A version of two or three numbers is a release with any build behind it.
    exact = f"=={wanted}" if wanted.count(".") >= 3 else f"=={wanted}.*"
    return Choice((f"{package}{exact}",))


def bindings(driver_cuda: tuple[int, int] | None) -> tuple[str, ...]:
    """CUDA's bindings for the driver's CUDA, with the compiler for kernels; none without one."""
    if driver_cuda is None or driver_cuda[0] < _OLDEST_CUDA:
        return ()
    return (f"cuda-core[cu{min(driver_cuda[0], 13)}]>=1.0",)


def find_system(roots: Iterable[Path]) -> Path | None:
    """The first folder that holds TensorRT's Python package."""
    return next((root for root in roots if (root / "tensorrt" / "__init__.py").is_file()), None)


def link_system(folder: Path, site_packages: Path) -> Path:
    """Let an environment import what lies in ``folder``, behind its own packages."""
    path = site_packages / "tensorrt-system.pth"
    path.write_text(f"{folder}\n", encoding="utf-8")
    return path


def missing(words: Sequence[str]) -> str:
    """Why the engine ``tensorrt`` is not there after pip was given ``words``; empty if it is."""
    if importlib.util.find_spec("tensorrt") is not None:
        return ""
    return (
        f"TensorRT could not be installed (pip install {' '.join(words)}): most of its wheels "
        "fetch the libraries from NVIDIA's own package index, which has to be in reach"
    )


def _system_roots() -> list[Path]:
    """Where apt, a container's pip and a tar's wheel put Python packages."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base = Path(sys.base_prefix) / "lib"
    return [
        Path("/usr/lib/python3/dist-packages"),
        Path("/usr/local/lib") / version / "dist-packages",
        base / version / "site-packages",
        base / version / "dist-packages",
    ]


def _linked_major(plugin: str) -> int | None:
    """The major version that a library names; None also for a file that the gate will refuse."""
    from verify.errors import InputError
    from verify.library import read

    try:
        linked = read(Path(plugin)).linked
    except InputError:
        return None
    return linked.major if linked and linked.engine == "tensorrt" else None


def main(words: Sequence[str] | None = None) -> int:
    """Print the choice for this machine; always 0."""
    parser = argparse.ArgumentParser(prog="python -m verify.requirements", allow_abbrev=False)
    parser.add_argument("--tensorrt", default="")
    parser.add_argument("--plugin", default="")
    parser.add_argument("--installed", nargs="+", metavar="WORD")
    given, _ = parser.parse_known_args(words)
    if given.installed:
        reason = missing(given.installed)
        if reason:
            print(reason)
        return 0
    from verify.engines.nvidia import driver_cuda

    cuda = driver_cuda()
    choice = choose(
        driver_cuda=cuda,
        python=sys.version_info[:2],
        asked=given.tensorrt,
        linked_major=_linked_major(given.plugin) if given.plugin else None,
    )
    if choice.system:
        folder = find_system(_system_roots())
        if folder is None:
            print("# --tensorrt system: no Python package tensorrt is installed on this machine")
        else:
            link_system(folder, Path(sysconfig.get_path("purelib")))
            print("\n".join(bindings(cuda)))
    elif choice.reason:
        print(f"# {choice.reason}")
    else:
        print("\n".join((*choice.words, *bindings(cuda))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
