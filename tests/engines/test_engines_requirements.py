"""Which TensorRT a session installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from verify.requirements import bindings, choose, find_system, link_system, main, missing

PINS = ("tensorrt==8.6.0", "nvidia-cudnn-cu12<9", "nvidia-cublas-cu12<13", "numpy<2")


@pytest.mark.parametrize(
    ("cuda", "asked", "linked", "words"),
    [
        ((13, 0), "", None, ("tensorrt-cu13<12",)),
        ((14, 1), "", None, ("tensorrt-cu13<12",)),
        ((12, 4), "", None, ("tensorrt-cu12<12",)),
        ((13, 0), "", 10, ("tensorrt-cu13>=10,<11",)),
        ((12, 4), "", 11, ("tensorrt-cu12>=11,<12",)),
        ((13, 0), "", 8, PINS),
        ((13, 0), "8.6.0", None, PINS),
        ((13, 0), "10.16.1.11", None, ("tensorrt-cu13==10.16.1.11",)),
        ((13, 0), "10.16", None, ("tensorrt-cu13==10.16.*",)),
        ((13, 0), "10.7.0", None, ("tensorrt-cu12==10.7.0.*",)),
        ((13, 0), "11", 10, ("tensorrt-cu13>=11,<12",)),
    ],
)
def test_what_is_installed(
    cuda: tuple[int, int], asked: str, linked: int | None, words: tuple[str, ...]
) -> None:
    choice = choose(driver_cuda=cuda, python=(3, 10), asked=asked, linked_major=linked)
    assert (choice.words, choice.reason, choice.system) == (words, "", False)


@pytest.mark.parametrize(
    ("cuda", "words"),
    [
        (None, ()),
        ((11, 8), ()),
        ((12, 4), ("cuda-core[cu12]>=1.0",)),
        ((13, 0), ("cuda-core[cu13]>=1.0",)),
        ((14, 1), ("cuda-core[cu13]>=1.0",)),
    ],
)
def test_the_bindings_are_those_of_the_drivers_cuda(
    cuda: tuple[int, int] | None, words: tuple[str, ...]
) -> None:
    assert bindings(cuda) == words


@pytest.mark.parametrize(
    ("cuda", "python", "asked", "linked", "reason"),
    [
        (None, (3, 11), "", 10, "no NVIDIA driver"),
        ((11, 8), (3, 11), "", None, "supports CUDA 11.8; TensorRT needs 12 or later"),
        ((13, 0), (3, 11), "8.6.0", None, "needs CPython 3.10: nox --force-python 3.10"),
        ((13, 0), (3, 12), "", 8, "needs CPython 3.10: nox --force-python 3.10"),
        ((13, 0), (3, 10), "", 9, "no whole wheel of TensorRT 9: install it"),
        ((13, 0), (3, 10), "8.6.1", None, "no whole wheel of TensorRT 8.6.1"),
        ((13, 0), (3, 10), "latest", None, "--tensorrt latest: not a version"),
    ],
)
def test_why_nothing_is_installed_is_one_line(
    cuda: tuple[int, int] | None,
    python: tuple[int, int],
    asked: str,
    linked: int | None,
    reason: str,
) -> None:
    choice = choose(driver_cuda=cuda, python=python, asked=asked, linked_major=linked)
    assert choice.words == ()
    assert reason in choice.reason
    assert "\n" not in choice.reason


def test_the_systems_own_is_linked_behind_the_environments_packages(tmp_path: Path) -> None:
    assert choose(driver_cuda=None, python=(3, 11), asked="system").system
    system, site = tmp_path / "dist-packages", tmp_path / "site-packages"
    assert find_system([tmp_path / "none", system]) is None
    (system / "tensorrt").mkdir(parents=True)
    (system / "tensorrt" / "__init__.py").write_text("")
    site.mkdir()
    found = find_system([tmp_path / "none", system])
    assert found == system
    assert link_system(found, site).read_text() == f"{system}\n"


def test_it_imports_the_standard_library_only() -> None:
    program = (
        "import sys; before = set(sys.modules); import verify.requirements;"
        "print(*[m for m in set(sys.modules) - before"
        " if m.split('.')[0] not in sys.stdlib_module_names and not m.startswith('verify')])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_other_options_of_the_session_are_none_of_its_business(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verify.engines.nvidia.driver_cuda", lambda: (13, 0))
    assert main(["--plugin", "no such file", "--precision", "fp16", "--quick"]) == 0
    assert capsys.readouterr().out == "tensorrt-cu13<12\ncuda-core[cu13]>=1.0\n"
    monkeypatch.setattr("verify.engines.nvidia.driver_cuda", lambda: None)
    assert main([]) == 0
    assert capsys.readouterr().out == "# no NVIDIA driver: TensorRT is not installed\n"


def test_an_installation_that_failed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    said = missing(["tensorrt-cu13<12"])
    assert "NVIDIA's own package index" in said
    assert "\n" not in said
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert missing(["tensorrt-cu13<12"]) == ""
