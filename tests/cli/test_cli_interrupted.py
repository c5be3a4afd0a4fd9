"""Ctrl-C in the middle of the work: what is done is kept, and one line says how much and where."""

from __future__ import annotations

import _ctypes
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from verify import __main__ as main
from verify import command, gate, observation
from verify.record import load

Cli = Callable[..., tuple[int, str, str]]
CASES = ("--case", "op-alone-fp16-reference", "--case", "composed-alone-fp16-reference")
SIGN = ("--check", "sign")


class Pressed:
    """A progress bar at whose ``count``-th step somebody presses Ctrl-C."""

    def __init__(self, count: int) -> None:
        self.left = count

    def add_task(self, _name: str, **_: Any) -> int:
        return 0

    def update(self, _task: int, **_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """cli(*words, after=steps): the command line in an empty folder; exit code and both outputs."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)

    def run(*words: str, after: int) -> tuple[int, str, str]:
        @contextmanager
        def bar() -> Iterator[Pressed]:
            yield Pressed(after)

        monkeypatch.setattr(command, "progress_bar", bar)
        monkeypatch.setattr(sys, "argv", ["verify", *words])
        with pytest.raises(SystemExit) as caught:
            main.main()
        out, err = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out, err

    yield run
    signal.signal(signal.SIGINT, before)


def test_a_run_says_how_far_it_came_and_where_that_is(cli: Cli) -> None:
    assert cli("run", *CASES, *SIGN, "--out", "o", after=1) == (
        130,
        "",
        "interrupted after 1 of 2 cases; kept in o/record.json\n",
    )
    record = load(Path("o/record.json"))
    assert (record.complete, len(record.cases)) == (False, 1)


def test_a_run_says_what_it_observed(cli: Cli) -> None:
    words = ("--check", "limits", "--observe", "o.json")
    code, out, err = cli("run", *CASES, *words, after=1)
    where = ".verify/record.json; observed 1 cases; in o.json"
    assert (code, out) == (130, "")
    assert err == f"interrupted after 1 of 2 cases; kept in {where}\n"
    assert list(observation.load(Path("o.json")).cases) == ["op-alone-fp16-reference"]


def test_a_gate_says_how_far_it_came_and_where_that_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: object) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return ""

    monkeypatch.setattr(gate, "obstacle", press)
    code, out, err = cli("gate", "--plugin", _ctypes.__file__, after=0)
    where = "kept in .verify/record.json"
    assert (code, out, err) == (130, "", f"interrupted after 0 cases and 0 checks; {where}\n")
    assert load(Path(".verify/record.json")).complete is False


MUTANTS = ("mutants", "--mutant", "silu", "--mutant", "gelu-erf")


def test_mutants_print_those_that_are_done(cli: Cli) -> None:
    code, out, err = cli(*MUTANTS, after=1)
    assert code == 130
    told = r"interrupted after 1 of \d+ mutants and right forms; "
    assert re.fullmatch(f"{told}nothing written\n", err)
    assert out.splitlines()[1].split()[0] == "silu"
    assert "killed 1 mutants, 100.0%" in out
    code, _, err = cli(*MUTANTS, "--json", "t.json", after=1)
    assert code == 130
    assert re.fullmatch(rf"{told}kept in t\.json\n", err)
    data = json.loads(Path("t.json").read_text())
    assert data["complete"] is False
    assert {killing["mutant"] for killing in data["killings"]} == {"silu"}


@pytest.mark.parametrize("path", [".", "pipe", "/proc/t.json", "file/t.json", "n" * 254])
@pytest.mark.parametrize("words", [("mutants",), ("run", *CASES)])
def test_a_table_that_can_not_be_written_is_refused_before_the_work(
    cli: Cli, words: tuple[str, ...], path: str
) -> None:
    Path("file").write_text("in the way")
    os.mkfifo("pipe")
    code, out, err = cli(*words, "--json", path, after=1)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"error: --json {path}: ")
    assert sorted(path.name for path in Path().iterdir()) == ["file", "pipe"]
    assert Path("pipe").is_fifo()
