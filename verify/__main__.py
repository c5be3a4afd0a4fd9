"""The command line: ``python -m verify``."""

from __future__ import annotations

from verify import interrupt

if __name__ == "__main__":
    interrupt.starting()  # before anything that takes its time to import

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click

from verify.errors import InputError

__all__ = ["main"]

# Only names here: everything that needs NumPy or ONNX is imported by the command that runs, so
# that --help answers at once.
_FORMS = ("op", "composed", "exp_log", "rational", "plugin")
_CONTEXTS = ("alone", "chain", "residual", "branch", "conv")
_PRECISIONS = ("fp32", "fp16", "bf16")
_ENGINES = ("reference", "onnxruntime", "tensorrt_rtx", "tensorrt")

_Options = ParamSpec("_Options")


def _run(
    command: Callable[_Options, int], *words: _Options.args, **options: _Options.kwargs
) -> NoReturn:
    """Run a command, now that all it needs is imported, and leave with its exit code.

    What Ctrl-C raises may say how far it came: `interrupted` and these words are one line.
    """
    interrupt.install()
    try:
        code = command(*words, **options)
    except KeyboardInterrupt as error:
        _interrupted(f"interrupted {error}".strip())
    except BrokenPipeError:  # Click would make an exit code 1 of it, which is a finding's
        _unread()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # so does Rich
            _unread()
        raise
    sys.exit(code)


def _interrupted(line: str = "interrupted") -> NoReturn:
    """Leave after Ctrl-C, which a terminal shows as ^C in a line that it does not end."""
    _leave(f"\n{line}" if os.isatty(2) else line, 130)


def _leave(line: str, code: int) -> NoReturn:
    """Say a last line and leave; where nobody can read it, the exit code has to do."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True)
    sys.exit(code)


def _choice(name: str, values: tuple[str, ...], text: str) -> Callable[[Any], Any]:
    return click.option(
        name, f"{name.strip('-')}s", multiple=True, type=click.Choice(values), help=text
    )


_filters = (
    click.option(
        "--case", "cases", multiple=True, metavar="ID", help="Only this case, as --list prints it."
    ),
    _choice("--engine", _ENGINES, "Only this engine."),
    _choice("--form", _FORMS, "Only this form."),
    _choice("--context", _CONTEXTS, "Only this context."),
    _choice("--precision", _PRECISIONS, "Only this precision."),
)


def _filtered(command: Any) -> Any:
    for option in reversed(_filters):
        command = option(command)
    return command


_path = click.Path(path_type=Path)
_tolerances = click.option(
    "--tolerances", type=_path, help="Folder with fp32.toml, fp16.toml and bf16.toml of your own."
)
_observe = click.option(
    "--observe", type=_path, metavar="FILE", help="Put what was measured into this observation."
)
_out = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".verify"),
    show_default=True,
    help="Folder for record.json and the findings.",
)
_json = click.option("--json", "json_file", type=_path, help="Also write the record here.")
_junit = click.option("--junit", type=_path, help="Write a JUnit file.")
_checks = click.option("--check", "checks", multiple=True, metavar="NAME", help="Only this check.")
_ort_provider = click.option(
    "--ort-provider",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="ONNX Runtime's execution provider.",
)


def _seed(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    kind = click.IntRange(min=0)
    return click.option("--seed", type=kind, default=0, show_default=True, help=text)


def _plugin(*, required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that name a plugin of a library."""
    options = (
        click.option(
            "--plugin",
            required=required,
            metavar="LIB",
            type=_path,
            help="The plugin's shared library.",
        ),
        click.option("--op", default="", metavar="NAME", help="The plugin, where it is not plain."),
        click.option("--plugin-version", default="", metavar="V", help="Its version."),
        click.option("--plugin-namespace", metavar="NS", help="Its namespace."),
        click.option(
            "--field", "fields", multiple=True, metavar="NAME=VALUE", help="A field's value."
        ),
        click.option(
            "--preload",
            "preloads",
            multiple=True,
            metavar="LIB",
            type=_path,
            help="Load this library before the plugin's.",
        ),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Verify Mish on ONNX Runtime and TensorRT against a float64 oracle."""


@cli.command()
@_filtered
@click.option("--list", "listing", is_flag=True, help="Print the selected cases' ids and stop.")
@_checks
@_seed("Of the random part of the samples.")
@_out
@_json
@_junit
@_observe
@_tolerances
@_ort_provider
def run(**options: Any) -> None:
    """Verify every form of Mish that this machine can run.

    Exit code: 0 all good and something was executed; 1 a finding, a stale entry or an error;
    2 bad usage or input; 3 nothing was executed.
    """
    from verify.command import run as command

    _run(command, **options)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def replay(folder: Path) -> None:
    """Show a finding again: FOLDER is a finding's, or a whole output folder.

    Exit code: 1 it fails again, 0 it passes now, 2 the folder is incomplete or damaged, 3 the
    output folder holds no findings.
    """
    from verify.command import replay as command

    _run(command, folder)


@cli.command()
@_seed("Of samples and properties.")
@click.option("--mutant", "names", multiple=True, metavar="NAME", help="Only this mutant.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the table here.")
@click.option("--build", type=_path, metavar="DIR", help="Compile the wrong plugins into DIR.")
@click.option("--headers", default="", metavar="RELEASE", help="Against which TensorRT's headers.")
@click.option("--gpu", is_flag=True, help="Put wrong plugins through the gate, not wrong models.")
@click.option(
    "--libraries",
    type=_path,
    metavar="DIR",
    help="Where the wrong plugins are.  [default: --build]",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Gates at once; each may need 20 GB of the GPU.",
)
@click.option("--own", is_flag=True, help="Only the checks that are expected to catch a mutant.")
@click.option("--resume", is_flag=True, help="Keep the trials that --out holds.")
@click.option(
    "--out",
    type=_path,
    default=Path(".verify/mutants"),
    show_default=True,
    help="Folder for the gates' records.",
)
def mutants(
    seed: int,
    names: tuple[str, ...],
    json_file: Path | None,
    build: Path | None,
    gpu: bool,
    **options: Any,
) -> None:
    """Prove that the checks can fail: run wrong Mishes and see which check catches which.

    By default wrong models on the reference evaluator and ONNX Runtime; with --build or --gpu
    wrong plugin libraries.

    Exit code: 0 every mutant was killed and no right form was; 1 otherwise; 2 bad usage; 3 --gpu
    without a GPU; 130 interrupted, what was done is kept.
    """
    if build or gpu or any(options[name] for name in ("libraries", "own", "resume", "headers")):
        from verify.mutation_command import mutants as plugins

        _run(plugins, seed, names, json_file, build, gpu=gpu, **options)
    from verify.command import mutants as command

    _run(command, seed, names, json_file)


@cli.command()
def doctor() -> None:
    """Say which engines can run here, their versions, and why the others can't."""
    from verify.command import doctor as command

    _run(command)


@cli.command()
@_plugin(required=True)
@_choice("--precision", _PRECISIONS, "Only this precision.")
@_choice("--context", _CONTEXTS, "Only this context.")
@_checks
@click.option("--quick", is_flag=True, help="Build no composed plan beside the plugin.")
@click.option("--sanitize", is_flag=True, help="Also run the plugin under compute-sanitizer.")
@_seed("Of the random part of the samples.")
@_out
@_json
@_junit
@_observe
@_tolerances
def gate(**options: Any) -> None:
    """Say whether a plugin library may ship.

    Exit code: 0 SHIP; 1 DO NOT SHIP; 2 bad usage or input; 3 COULD NOT VERIFY: no TensorRT, no
    GPU, or a library linked against another TensorRT than the one at hand.
    """
    from verify.plumbing.ahead import started

    with started(options["checks"]) as ahead:
        from verify.gate_command import gate as command

        _run(command, **options, ahead=ahead)


@cli.command()
@_filtered
@_plugin(required=False)
@click.option(
    "--shard", default="", metavar="I/N", help="Only the I-th of N parts of the inputs, from 1."
)
@click.option(
    "--plans",
    type=_path,
    metavar="DIR",
    help="Keep TensorRT's plans of the context alone here, so that shards share them.",
)
@click.option(
    "--sample", is_flag=True, help="Observe `run`'s sample instead of all inputs; no record."
)
@_seed("Of the random part of the sample.")
@click.option(
    "--out",
    type=_path,
    default=Path(".verify/sweep"),
    show_default=True,
    help="Folder for a record per case, or with one case a file ending in .json.",
)
@_observe
@_tolerances
@_ort_provider
def sweep(**options: Any) -> None:
    """Verify every float there is: all 2^32 inputs of fp32, all 65 536 of fp16 and bf16.

    Exit code: 0 all good and something was executed; 1 a finding, a stale entry or an error;
    2 bad usage or input; 3 nothing was executed; 130 interrupted, what was done is kept: beside
    a fuller record in CASE.partial.json.
    """
    from verify.sweep_command import sweep_cases as command

    _run(command, **options)


@cli.command()
@click.argument("files", nargs=-1, metavar="FILE...", type=_path)
@click.option("--out", type=_path, help="The merged record.  [default: .verify/sweep/CASE.json]")
@_observe
@_tolerances
def merge(files: tuple[Path, ...], **options: Any) -> None:
    """Merge the shards of a sweep into its record, as if it had been swept at once.

    Exit code: 0 all good, 1 a finding or a stale entry, 2 the shards don't fit together.
    """
    from verify.sweep_command import merge as command

    _run(command, files, **options)


@cli.command()
@click.option("--power", is_flag=True, help="How small an error each limit still catches.")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(_PRECISIONS),
    help="With --power: only this precision.",
)
@_tolerances
def tolerances(power: bool, precisions: tuple[str, ...], tolerances: Path | None) -> None:
    """Print the contract beside what was observed, and propose tightenings; writes nothing.

    Exit code: 0 every observation is within its limit, 1 one is not, 2 a damaged file.
    """
    if power:
        from verify.observations_command import power as command

        _run(command, tolerances, precisions)
    if precisions:
        raise InputError("--precision: only with --power; the contract is printed as a whole")
    from verify.observed_command import tolerances as contract

    _run(contract, tolerances)


@cli.command()
@click.option("--readme", is_flag=True, help="Write the table into README.md.")
@_tolerances
def observations(readme: bool, tolerances: Path | None) -> None:
    """Print the support matrix: what was observed of each form, in which engine and precision.

    Exit code: 0, or 2 for a damaged observation or a README.md without a place for it.
    """
    from verify.observations_command import observations as command

    _run(command, readme, tolerances)


@cli.command()
@click.argument("before", type=_path)
@click.argument("after", type=_path)
def diff(before: Path, after: Path) -> None:
    """Say what changed between two records or observations: bits, bands, inputs, versions.

    Exit code: 0 the results are the same, 1 they differ, 2 a damaged file or no case in common.
    """
    from verify.observed_command import diff as command

    _run(command, before, after)


def main() -> None:
    """Run the command line; bad input ends in one line and exit code 2, Ctrl-C in 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that can't show a name is no fault
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            cli(standalone_mode=False)
        finally:
            if sys.stdout:  # None where it was closed beforehand
                sys.stdout.flush()
    except InputError as error:
        _leave(f"error: {error}", 2)
    except click.ClickException as error:
        _leave(f"error: {error.format_message()}", 2)
    except BrokenPipeError:
        _unread()
    except (KeyboardInterrupt, click.Abort):
        _interrupted()
    except Exception as error:
        if interrupt.pressed():  # an import that Ctrl-C broke ends in an error of its own
            _interrupted()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _discard()
            _leave(f"error: standard output: {error.strerror}", 2)
        raise


def _unread() -> NoReturn:
    """Leave as one does whose reader has gone, such as `head`; nothing more can be told."""
    _discard()
    sys.exit(128 + signal.SIGPIPE)


def _discard() -> None:
    """Have nothing that is still to be printed fail, not even at the very end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
