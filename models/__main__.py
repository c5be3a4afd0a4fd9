"""``python -m models OUT``: write model files.

Every combination that exists is written, unless options narrow it. The form `plugin` gives two
files each: with its function, and without for the TensorRT versions that need it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from models.names import CONTEXTS, FORMS, PRECISIONS, RANKS, file_name, ranks_of


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--form", "forms", multiple=True, type=click.Choice(FORMS), help="Default: all.")
@click.option(
    "--context", "contexts", multiple=True, type=click.Choice(CONTEXTS), help="Default: all."
)
@click.option(
    "--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), help="Default: all."
)
@click.option(
    "--rank",
    "ranks",
    multiple=True,
    type=click.Choice([str(rank) for rank in RANKS]),
    help="Rank of x. Default: all that the context has; conv has 4 only.",
)
def main(
    out: Path,
    forms: tuple[str, ...],
    contexts: tuple[str, ...],
    precisions: tuple[str, ...],
    ranks: tuple[str, ...],
) -> None:
    """Write ONNX models of Mish into the folder OUT, which is made if need be.

    Give an option several times to select several values. Existing files of the same names are
    replaced, each at once.
    """
    wanted = tuple(int(rank) for rank in ranks) or RANKS
    for context in contexts:
        if not set(wanted) & set(ranks_of(context)):
            allowed = ", ".join(str(rank) for rank in ranks_of(context))
            raise click.UsageError(
                f"--rank: context {context} has none of {', '.join(ranks)}; only {allowed}"
            )
    selected = list(_select(forms or FORMS, contexts or CONTEXTS, precisions or PRECISIONS, wanted))
    # Imported late: onnx takes longer to load than --help may take.
    from models.model import build, serialize

    for form, context, precision, rank, body in selected:
        path = out / file_name(form, context, precision, rank=rank, body=body)
        data = serialize(build(form, context, precision, rank=rank, body=body))
        try:
            out.mkdir(parents=True, exist_ok=True)
            write(path, data)
        except OSError as error:
            raise click.UsageError(
                f"OUT: cannot write to {out}: {error.strerror or error}"
            ) from error
        click.echo(f"wrote {path}")


def write(path: Path, data: bytes) -> None:
    """Write a whole file or none: under another name first, then renamed. May raise OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes files private; these are for anyone whom the umask lets read.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def _select(
    forms: Sequence[str], contexts: Sequence[str], precisions: Sequence[str], ranks: Sequence[int]
) -> Iterator[tuple[str, str, str, int, bool]]:
    """Form, context, precision, rank and body of each file, once each, in the listed order."""
    for form in (form for form in FORMS if form in forms):
        for context in (context for context in CONTEXTS if context in contexts):
            for precision in (precision for precision in PRECISIONS if precision in precisions):
                for rank in (rank for rank in ranks_of(context) if rank in ranks):
                    yield form, context, precision, rank, True
                    if form == "plugin":
                        yield form, context, precision, rank, False


def _umask() -> int:
    # It can only be read by setting it.
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def run() -> int:
    """The command line's exit code: 0, 2 for bad usage or input, 130 when interrupted."""
    try:
        main(prog_name="python -m models", standalone_mode=False)
    except click.ClickException as error:
        # Click would print its usage before this: one line is enough to act on.
        click.echo(f"Error: {error.format_message()}", err=True)
        return 2
    except click.Abort:
        click.echo("Error: interrupted", err=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
