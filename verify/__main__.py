"""The command line: ``python -m verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from verify.errors import InputError

__all__ = ["main"]

# Only names here: everything that needs NumPy or ONNX is imported by the command that runs, so
# that --help answers at once.
_FORMS = ("op", "composed", "exp_log", "rational", "plugin")
_CONTEXTS = ("alone", "chain", "residual", "branch", "conv")
_PRECISIONS = ("fp32", "fp16", "bf16")
_ENGINES = ("reference", "onnxruntime", "tensorrt_rtx", "tensorrt")


def _choice(name: str, values: tuple[str, ...], text: str) -> Any:
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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Verify Mish on ONNX Runtime and TensorRT against a float64 oracle."""


@cli.command()
@_filtered
@click.option("--list", "listing", is_flag=True, help="Print the selected cases' ids and stop.")
@click.option("--check", "checks", multiple=True, metavar="NAME", help="Only this check.")
@click.option("--seed", default=0, show_default=True, help="Of the random part of the samples.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".verify"),
    show_default=True,
    help="Folder for record.json and the findings.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Also write the record here."
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write a JUnit file.")
@click.option(
    "--tolerances",
    type=click.Path(path_type=Path),
    help="Folder with fp32.toml, fp16.toml and bf16.toml of your own.",
)
@click.option(
    "--ort-provider",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="ONNX Runtime's execution provider.",
)
def run(**options: Any) -> None:
    """Verify every form of Mish that this machine can run.

    Exit code: 0 all good and something was executed; 1 a finding, a stale entry or an error;
    2 bad usage or input; 3 nothing was executed.
    """
    from verify.command import run as command

    sys.exit(command(**options))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def replay(folder: Path) -> None:
    """Show a finding again: FOLDER is a finding's, or a whole output folder.

    Exit code: 1 it fails again, 0 it passes now, 2 the folder is incomplete or damaged.
    """
    from verify.command import replay as command

    sys.exit(command(folder))


@cli.command()
@click.option("--seed", default=0, show_default=True, help="Of samples and properties.")
@click.option("--mutant", "names", multiple=True, metavar="NAME", help="Only this mutant.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the table here.")
def mutants(seed: int, names: tuple[str, ...], json_file: Path | None) -> None:
    """Prove that the checks can fail: run wrong Mishes and see which check catches which.

    Exit code: 0 every mutant was killed and no right form was; 1 otherwise.
    """
    from verify.command import mutants as command

    sys.exit(command(seed, names, json_file))


@cli.command()
def doctor() -> None:
    """Say which engines can run here, their versions, and why the others can't."""
    from verify.command import doctor as command

    sys.exit(command())


def main() -> None:
    """Run the command line; bad input ends in one line and exit code 2, Ctrl-C in 130."""
    try:
        cli(standalone_mode=False)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
