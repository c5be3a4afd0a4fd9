"""The command that shows a finding again: as a line to paste, and run from here."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verify.engines.tensorrt import Replay

__all__ = ["Command", "Ran", "command_of", "execute", "polygraphy_run", "tensorrt_run"]

_MAIN = "import sys; from polygraphy.tools import main; sys.exit(main())"


@dataclass(frozen=True)
class Command:
    """What runs inside of a finding's folder, in any environment that has the engine.

    ``words`` begin with the program, ``polygraphy`` or ``python``; ``environment`` holds
    variables that the engine needs, by name.
    """

    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def line(self, folder: Path) -> str:
        """One line for a POSIX shell in any current folder."""
        variables = "".join(f"{name}={shlex.quote(value)} " for name, value in self.environment)
        words = shlex.join([*_program(self.words[0], short=True), *self.words[1:]])
        return f"cd {shlex.quote(str(folder.resolve()))} && {variables}{words}"

    def script(self) -> str:
        """The same for a script that lies in the folder; the program is looked up on PATH."""
        exports = [f"export {name}={shlex.quote(value)}\n" for name, value in self.environment]
        return f"{''.join(exports)}exec {shlex.join(self.words)}\n"


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code (None: the time limit) and all that it printed."""

    code: int | None
    output: str

    @property
    def failed(self) -> bool:
        """The values were compared, and are wrong."""
        return self.code == 1 and "replay: FAIL: " in self.output

    @property
    def passed(self) -> bool:
        """The values were compared, and are right."""
        return self.code == 0 and "replay: PASS: " in self.output

    def shows(self, label: str, x_bits: str, kind: str) -> bool:
        """It failed, and printed this input among the failing elements (of this output).

        ``kind`` is what is wrong with it: ``nan``, ``inf``, ``sign`` or ``ulp``.
        """
        mark = " ULP " if kind == "ulp" else f" ULP ({kind}) "
        return self.failed and any(
            line.startswith(f"  {label}:" if label else "  ")
            and f" x_bits {x_bits} " in line
            and f"{mark} limit " in line
            for line in self.output.splitlines()
        )

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if self.code is None:
            return "did not end within the time limit"
        number = -self.code if self.code < 0 else self.code - 128
        try:
            return f"was aborted by {signal.Signals(number).name}"
        except ValueError:
            return f"ended with exit code {self.code}"


def polygraphy_run(*options: str, environment: tuple[tuple[str, str], ...] = ()) -> Command:
    """`polygraphy run` with the options that choose and set up one runner, such as ``--onnxrt``.

    One golden run and one runner, so that they are neighbours: only those are compared.
    """
    words = ("polygraphy", "run", "model.onnx", *options)
    data = ("--data-loader-script", "compare.py:load_data", "--load-outputs", "golden.json")
    return Command(
        (*words, *data, "--compare-func-script", "compare.py:compare_outputs"), environment
    )


def tensorrt_run(wanted: Replay) -> Command:
    """The command for TensorRT: plugin, profile, and how this version's types are forced.

    TensorRT's own library is loaded before anything else, where a plugin is: Polygraphy opens
    the plugin first, which may leave TensorRT's symbols to whoever loads it.
    """
    words = ["--trt"]
    environment: tuple[tuple[str, str], ...] = ()
    if wanted.plugin is not None:
        words += ["--plugins", str(wanted.plugin.library.path.resolve())]
        before = [wanted.plugin.tensorrt, *wanted.plugin.preload]
        environment = (("LD_PRELOAD", ":".join(path for path in before if path)),)
    for name, shape in zip(("min", "opt", "max"), wanted.profile, strict=False):
        words += [f"--trt-{name}-shapes", f"x:[{','.join(map(str, shape))}]"]
    if wanted.strategy.strongly_typed:
        words.append("--strongly-typed")
    if wanted.half:
        words += ["--fp16", "--precision-constraints", "obey"]
        words += ["--trt-network-postprocess-script", "compare.py:obey_half"]
    if not wanted.tactic_sources:
        words.append("--tactic-sources")
    if wanted.optimization_level is not None:
        words += ["--builder-optimization-level", str(wanted.optimization_level)]
    return polygraphy_run(*words, environment=environment)


def command_of(engine: str) -> Command:
    """The command for an engine that needs nothing but the model.

    Raises ValueError for any other: what it needs must be given as a `Command`.
    """
    if engine == "reference":
        return Command(("python", "compare.py"))
    if engine == "onnxruntime":
        from verify.engines.onnxruntime import PROVIDER_VARIABLE

        provider = os.environ.get(PROVIDER_VARIABLE, "cpu")
        options = () if provider == "cpu" else ("--providers", provider)
        return polygraphy_run("--onnxrt", *options)
    raise ValueError(f"engine {engine!r}: give the command that replays it")


def execute(
    command: Command,
    folder: Path,
    *,
    seconds: float | None = None,
    echo: Callable[[str], object] | None = None,
) -> Ran:
    """Run the command in its folder, with this interpreter's Polygraphy and without a shell.

    ``seconds`` is a time limit; ``echo`` is given each line as it comes (without a time limit).
    """
    process = subprocess.Popen(
        [*_program(command.words[0], short=False), *command.words[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **dict(command.environment)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            if echo is None:
                output, _ = process.communicate(timeout=seconds)
                return Ran(process.returncode, output)
            lines = []
            assert process.stdout is not None
            for line in process.stdout:
                echo(line)
                lines.append(line)
            return Ran(process.wait(), "".join(lines))
        except subprocess.TimeoutExpired:
            process.kill()
            return Ran(None, process.communicate()[0])
        except BaseException:
            process.kill()
            raise


def _program(name: str, *, short: bool) -> tuple[str, ...]:
    """The words that start ``polygraphy`` or ``python`` of this interpreter's environment.

    ``short``: the bare name where a user's shell finds the same one. Inside of nox it does not:
    PATH is set for the session only.
    """
    here = Path(sys.executable).parent
    found = shutil.which(name)
    same = found is not None and Path(found).parent == here
    if short and same and "NOX_CURRENT_SESSION" not in os.environ:
        return (name,)
    if name == "python":
        return (sys.executable,)
    if (here / name).exists():
        return (str(here / name),)
    # Installed without its script beside the interpreter, and it can't be run with -m.
    return (sys.executable, "-c", _MAIN)
