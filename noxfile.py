"""Environments for everything: `nox -l` lists the sessions, arguments after `--` pass on."""

from __future__ import annotations

import re

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["verify", "tests", "lint"]


@nox.session
def verify(session: nox.Session) -> None:
    """Verify every form of Mish on every engine that this machine has.

    With an NVIDIA driver TensorRT is installed too: `-- --tensorrt VERSION` for another than the
    current release, `-- --tensorrt system` for the one on this machine.
    """
    session.install("-e", ".[rtx]")
    words = _with_tensorrt(session)
    session.run("python", "-m", "verify", "run", *words)


@nox.session
def gate(session: nox.Session) -> None:
    """Say whether a plugin library may ship: `-- --plugin libfoo.so`."""
    session.install("-e", ".")
    words = _with_tensorrt(session)
    session.run("python", "-m", "verify", "gate", *words)


@nox.session
def plugin(session: nox.Session) -> None:
    """Build the reference plugin: `-- -DTENSORRT_ROOT=DIR`, into build/plugin."""
    session.install("cmake>=3.25,<4", "ninja")
    build = ["cmake", "-S", "plugin", "-B", "build/plugin", "-G", "Ninja", *session.posargs]
    told = session.run(*build, silent=True, success_codes=[0, 1])
    # CMake wraps its own sentence in a page of context.
    found = re.search(r"CMake Error:?([^\n]*)\n+((?:  [^\n]+\n)*)", str(told))
    if found:
        session.error(" ".join((found[2] or found[1]).split()).rstrip("."))
    session.run("cmake", "--build", "build/plugin")


@nox.session
def mutants(session: nox.Session) -> None:
    """Compile the wrong plugins, `-- --build DIR`, and put each through the gate, `-- --gpu`."""
    session.install("-e", ".")
    words = _with_tensorrt(session) if "--gpu" in session.posargs else session.posargs
    session.run("python", "-m", "verify", "mutants", *(words or ["--build", "build/mutants"]))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the suite's own tests, on the CPU; `-- -m gpu` or `-- -m headers` for the others."""
    session.install("-e", ".[rtx,tests]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, style and types; `-- --fix` mends what can be mended."""
    session.install("-e", ".[rtx,lint]")
    fix = "--fix" in session.posargs
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("mypy")


@nox.session
def exhaustive(session: nox.Session) -> None:
    """Verify every float there is; choose with `-- --form op --precision fp32`, say.

    With an NVIDIA driver TensorRT is installed too, as for `verify`.
    """
    session.install("-e", ".")
    words = _with_tensorrt(session)
    session.run("python", "-m", "verify", "sweep", *words)


@nox.session
def benchmark(session: nox.Session) -> None:
    """Measure what the oracle and the judge cost beside ONNX Runtime, as ratios in one run."""
    session.install("-e", ".")
    session.run("python", "-m", "benchmarks", *session.posargs)


def _with_tensorrt(session: nox.Session) -> list[str]:
    """Install the TensorRT that `verify.requirements` names; the arguments that are left.

    Where it can't be had that is one line, and the session goes on without it.
    """
    chosen = session.run("python", "-m", "verify.requirements", *session.posargs, silent=True)
    lines = str(chosen).splitlines()
    for line in lines:
        if line.startswith("# "):
            session.warn(line.removeprefix("# "))
    words = [line for line in lines if line and not line.startswith("# ")]
    if words:
        session.install(*words, silent=True, success_codes=range(256))
        session.run("python", "-m", "verify.requirements", "--installed", *words)
    return _without_option("--tensorrt", session.posargs)


def _without_option(name: str, words: list[str]) -> list[str]:
    """The words without an option and its value."""
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and word != name and not word.startswith(f"{name}="):
            kept.append(word)
        skip = word == name and not skip
    return kept
