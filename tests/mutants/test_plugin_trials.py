"""What counts as a kill, how trials add up, and gates that run, are kept and are ended."""

from __future__ import annotations

import datetime
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from verify import mutation, mutation_command
from verify.engines.base import Status
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.mutation import MutantTable, Order, Trial, score, trial_of
from verify.mutation_command import print_trials
from verify.record import CheckRecord, EngineRecord, Environment, FindingRecord, Record

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = Environment(
    date=datetime.datetime.now(datetime.timezone.utc).isoformat(),
    python="3",
    platform="Linux",
    cpu="",
    numpy="2",
    polygraphy="0",
    engines=(),
)


def record(*checks: str, complete: bool = True) -> Record:
    """A gate's record with a finding by each check."""
    return Record(
        schema_version=1,
        command="gate",
        complete=complete,
        seed=0,
        tolerances="",
        environment=ENVIRONMENT,
        cases=(),
        findings=tuple(
            FindingRecord(
                case="plumbing",
                check=check,
                message="x",
                output="",
                band="",
                kind="plumbing",
                point=None,
                limit=None,
                count=1,
                samples=1,
                replay=None,
            )
            for check in checks
        ),
    )


def trial(name: str, *caught: str, exit_code: int = 1, ran: Sequence[str] = ()) -> Trial:
    return Trial(name, exit_code, 1.0, "DO NOT SHIP: x", caught, (*ran, *caught))


@pytest.mark.parametrize(
    ("code", "found", "killed"),
    [
        (1, record("stream", "capture", "stream"), True),
        (1, record(), False),  # DO NOT SHIP, but no check has found anything
        (1, record("stream", complete=False), False),
        (1, None, False),
        (0, record(), False),
        (0, record("stream"), False),
        (2, record("stream"), False),
        (3, record("stream"), False),
        (-11, record("stream"), False),
        (130, None, False),
    ],
)
def test_only_a_checks_own_finding_kills(code: int, found: Record | None, killed: bool) -> None:
    done = trial_of("default_stream", code, 1.0, "x", found)
    assert done.killed is killed
    if killed:
        assert done.caught == ("stream", "capture")
        assert done.error == ""
    elif code not in (0, 1):
        assert done.error == f"the gate ended with exit code {code}"
        assert done.caught == ()


def test_checks_that_ran_are_told_from_those_that_were_skipped() -> None:
    rows = tuple(
        CheckRecord.model_validate(
            {"check": name, "verdict": verdict, "claim": "", "reason": "", "count": 1, "seconds": 1}
        )
        for name, verdict in (
            ("stream", "PASS"),
            ("capture", "FAIL"),
            ("tactics", "SKIPPED"),
            ("huge", "ERROR"),
        )
    )
    done = trial_of("synchronizes", 1, 1, "", record("capture").model_copy(update={"checks": rows}))
    assert done.ran == ("stream", "capture")


def test_what_is_printed(table: MutantTable) -> None:
    trials = [
        trial("reference", exit_code=0, ran=("input",)),
        trial("right", "sizes"),
        trial("default_stream", "stream", "capture"),
        trial("synchronizes", "capture"),
        Trial("allocates", 139, 1.0, "", (), (), "the gate ended with exit code 139"),
    ]
    text = io.StringIO()
    print_trials(Console(file=text, width=80), trials, table, score(trials, table))
    lines = [line.split() for line in text.getvalue().splitlines() if line]
    rows = {words[0]: words for words in lines}
    assert rows["reference"][1] == "SHIP"
    assert rows["right"][1:3] == ["FALSE", "ALARM"]
    assert rows["default_stream"][1:3] == ["15", "killed"]
    assert rows["default_stream"][-2:] == ["stream,", "capture"]
    assert rows["allocates"][2] == "SURVIVES"
    assert rows["allocates"][-7:] == ["the", "gate", "ended", "with", "exit", "code", "139"]
    assert rows["capture"][1:] == ["2", "synchronizes"]
    assert rows["stream"][1:] == ["1"]
    assert text.getvalue().splitlines()[-4:] == [
        "false alarm: right: sizes",
        "checks that catch nothing: input, sizes",
        "mutants that survive: allocates",
        "killed 2 of 3 mutants, 66.7%",
    ]


def test_the_score_adds_up(table: MutantTable) -> None:
    trials = [
        trial("default_stream", "stream", "capture"),
        trial("synchronizes", "capture", ran=("stream", "empty")),
        trial("allocates", exit_code=0),
        trial("empty_refused", "sizes"),
        trial("reference", exit_code=0, ran=("stream", "input")),
        trial("right", "sizes"),
    ]
    total = score(trials, table)
    assert total.killed == ("default_stream", "synchronizes", "empty_refused")
    assert total.survived == ("allocates",)
    assert total.rate == 0.75
    assert total.alone == {"capture": ("synchronizes",), "sizes": ("empty_refused",)}
    assert set(total.idle) == {"input", "empty"}
    assert total.unexpected == ("empty_refused",)
    assert total.alarms == {"right": "sizes"}
    assert total.own == 0
    assert not total.good


def test_what_only_one_check_catches_is_known_where_all_were_tried(table: MutantTable) -> None:
    all_tried, few = trial("synchronizes", "capture"), trial("allocates", "capture")
    total = score([all_tried, replace(few, own=True)], table)
    assert total.killed == ("synchronizes", "allocates")
    assert total.alone == {"capture": ("synchronizes",)}
    assert total.own == 1
    text = io.StringIO()
    print_trials(Console(file=text, width=80), [all_tried, replace(few, own=True)], table, total)
    assert "tried on the checks that are expected to catch them: 1 of 2 mutants" in text.getvalue()


def test_a_score_is_good_only_without_any_blemish(table: MutantTable) -> None:
    killed = [trial("synchronizes", "capture"), trial("reference", exit_code=0)]
    assert score(killed, table).good
    assert not score([], table).good
    assert not score(killed[1:], table).good
    assert not score([*killed, trial("allocates", exit_code=0)], table).good
    assert not score([*killed, trial("right", exit_code=3)], table).good
    other = replace(killed[0], caught=("registry",), ran=("registry",))
    assert not score([other, killed[1]], table).good, "caught by what it was not made for"
    idle = replace(killed[0], ran=("capture", "stream"))
    assert not score([idle], table).good


def empty_libraries(folder: Path, names: Sequence[str]) -> None:
    """ELF libraries that register nothing."""
    folder.mkdir()
    source = folder / "empty.c"
    source.write_text("int nothing;")
    for name in names:
        words = ["gcc", "-shared", "-fPIC", str(source), "-o", str(folder / f"{name}.so")]
        subprocess.run(words, check=True)


def nothing_runs(folder: Path) -> bool:
    """Whether no gate on libraries in a folder is running."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return not any(b"verify.attached" in x and str(folder).encode() in x for x in lines)


NO_GPU = pytest.mark.skipif(Tensorrt().status().executes, reason="the gate executes here")


@NO_GPU
def test_a_gate_that_could_not_verify_kills_nothing_and_is_kept(
    table: MutantTable, tmp_path: Path
) -> None:
    names = ("log_tail", "right")
    empty_libraries(tmp_path / "libraries", names)
    order = Order(table, names, tmp_path / "libraries", tmp_path / "out", jobs=2, own=True)
    first = {done.name: done for done in mutation.run(order)}
    assert {done.name: done.own for done in first.values()} == {"log_tail": True, "right": False}
    for done in first.values():
        assert (done.exit_code, done.killed) == (3, False)
        assert done.sentence.startswith("COULD NOT VERIFY: ")
    assert score(list(first.values()), table).survived == ("log_tail",)
    again = {done.name: done for done in mutation.run(replace(order, resume=True))}
    assert again == first, "a kept trial is the same, to its seconds"
    kept = tmp_path / "out" / "log_tail.json"
    kept.write_text("{}")
    before = time.monotonic()
    (damaged,) = mutation.run(replace(order, names=("log_tail",), resume=True))
    assert damaged.exit_code == 3
    assert time.monotonic() - before > 0.2, "it ran again"
    assert json.loads(kept.read_text())["trial"]["name"] == "log_tail"


@NO_GPU
def test_a_trial_with_all_checks_stands_for_one_with_few_but_not_the_other_way(
    table: MutantTable, tmp_path: Path
) -> None:
    empty_libraries(tmp_path / "libraries", ("log_tail",))
    few = Order(table, ("log_tail",), tmp_path / "libraries", tmp_path / "out", own=True)
    (first,) = mutation.run(few)
    (all_tried,) = mutation.run(replace(few, own=False, resume=True))
    assert (first.own, all_tried.own) == (True, False)
    written = (tmp_path / "out" / "log_tail.json").read_text()
    (kept,) = mutation.run(replace(few, resume=True))
    assert kept == all_tried
    assert (tmp_path / "out" / "log_tail.json").read_text() == written


@NO_GPU
def test_closing_the_iterator_ends_the_gates(table: MutantTable, tmp_path: Path) -> None:
    names = ("log_tail", "silu", "right")
    empty_libraries(tmp_path / "libraries", names)
    order = Order(table, names, tmp_path / "libraries", tmp_path / "out", jobs=1)
    running = mutation.run(order)
    done = next(running)
    running.close()
    assert done.name == "log_tail"
    # The one that was killed is not taken for one that was run.
    assert [path.stem for path in (tmp_path / "out").glob("*.json")] == ["log_tail"]
    assert nothing_runs(tmp_path)


@NO_GPU
def test_gates_end_with_whoever_started_them(tmp_path: Path) -> None:
    names = ("log_tail", "silu")
    empty_libraries(tmp_path / "libraries", names)
    code = (
        "import sys\nfrom pathlib import Path\nfrom verify import mutation\n"
        "at = Path(sys.argv[1])\n"
        "names = ('log_tail', 'silu')\n"
        "order = mutation.Order(mutation.load(), names, at / 'libraries', at / 'out')\n"
        "for _ in mutation.run(order): pass"
    )
    started = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    try:
        while nothing_runs(tmp_path):  # both gates are over before long
            assert started.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)  # it is importing by now
        assert not nothing_runs(tmp_path)
    finally:
        started.kill()
        started.wait()
    time.sleep(0.2)  # a gate takes a second
    assert nothing_runs(tmp_path)


class Pressed:
    """A progress bar at whose first step somebody presses Ctrl-C."""

    def add_task(self, _name: str, *, total: int) -> int:
        return total

    def update(self, _task: int, **_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("name", ["table.json", None])
@NO_GPU
def test_ctrl_c_prints_and_keeps_the_trials_that_are_done(
    name: str | None, table: MutantTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("right", "log_tail")
    empty_libraries(tmp_path / "libraries", names)
    order = Order(table, names, tmp_path / "libraries", tmp_path / "out")
    monkeypatch.setattr(mutation_command, "progress_bar", lambda: nullcontext(Pressed()))
    engine = EngineRecord.of(Tensorrt().status())
    json_file = tmp_path / name if name else None
    text = io.StringIO()
    with pytest.raises(KeyboardInterrupt) as caught:
        mutation_command.run_trials(Console(file=text, width=200), order, engine, json_file)
    where = f"kept in {order.out}" + (f", the table in {json_file}" if json_file else "")
    assert str(caught.value) == f"after 1 of 2 trials; {where}; --resume goes on from there"
    rows = [line.split()[:3] for line in text.getvalue().splitlines() if line]
    assert rows[1] == ["right", "FALSE", "ALARM"]
    assert nothing_runs(tmp_path)
    if json_file:
        data = json.loads(json_file.read_text())
        assert data["complete"] is False
        assert [row["name"] for row in data["trials"]] == ["right"]


def test_a_table_is_not_replaced_by_an_empty_one(table: MutantTable, tmp_path: Path) -> None:
    order = Order(table, ("right",), tmp_path, tmp_path / "out")
    path = tmp_path / "table.json"
    path.write_text("{}")
    with pytest.raises(InputError, match=r"has no right\.so"):
        mutation_command.run_trials(Console(), order, EngineRecord.of(Tensorrt().status()), path)
    assert path.read_text() == "{}"


def test_a_missing_library_is_told_before_anything_runs(table: MutantTable, tmp_path: Path) -> None:
    order = Order(table, ("right", "silu"), tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match=r"has no right\.so, silu\.so"):
        next(mutation.run(order))
    assert not (tmp_path / "out").exists()


def command(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "verify", "mutants", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--gpu"], "--gpu needs --libraries DIR"),
        (["--gpu", "--libraries", "none", "--mutant", "x-man"], "--mutant 'x-man': unknown"),
        (["--gpu", "--libraries", "none", "--jobs", "0"], "--jobs"),
        (["--build", "/proc/none", "--own"], "--own"),
        (["--build", "/proc/none", "--headers", "7.0"], "--headers 7.0"),
        (["--libraries", "none"], "--gpu"),
        (["--mutant", "silu", "--resume"], "--gpu"),
        (["--headers", "8.6"], "--build DIR"),
        (
            ["--gpu", "--build", "/proc/none", "--json", "/proc/t.json"],
            "--json /proc/t.json: can't",
        ),
        (["--gpu", "--libraries", "none", "--json", "."], "--json .: a folder"),
        (
            ["--build", "/proc/none", "--mutant", "silu", "--mutant", "aliased"],
            "--mutant aliased: exists from TensorRT 10 on, and this is 8.6",
        ),
    ],
)
def test_bad_usage_is_one_line(words: list[str], says: str, tmp_path: Path) -> None:
    headers = tmp_path / "8.6" / "include"
    headers.mkdir(parents=True)
    (headers / "NvInfer.h").touch()
    numbers = "#define NV_TENSORRT_MAJOR 8\n#define NV_TENSORRT_MINOR 6\n"
    (headers / "NvInferVersion.h").write_text(numbers)
    done = command(*words, TENSORRT_HEADERS=str(tmp_path), CUDACXX="nvcc")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert done.stdout == ""


@pytest.mark.parametrize(("version", "tried"), [("8.6.1", False), ("10.16.1", True)])
def test_a_run_is_complete_without_what_its_version_has_not(
    version: str,
    tried: bool,
    table: MutantTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(order: Order) -> Iterator[Trial]:
        for name in order.names:
            mutant = order.table.mutant(name)
            yield trial(name, *mutant.checks) if mutant else trial(name, exit_code=0)

    def status(_: object) -> Status:
        return Status("tensorrt", version, True, True, "a GPU")

    monkeypatch.setattr(mutation_command, "version_at_hand", lambda: version)
    monkeypatch.setattr(Tensorrt, "status", status)
    monkeypatch.setattr(mutation, "run", run)
    path = tmp_path / "table.json"

    def mutants(*names: str) -> int:
        return mutation_command.mutants(
            0,
            names,
            path,
            None,
            gpu=True,
            headers="",
            libraries=tmp_path,
            jobs=1,
            own=False,
            resume=False,
            out=tmp_path / "out",
        )

    assert mutants() == 0
    data = json.loads(path.read_text())
    late = {mutant.name for mutant in table.mutants if mutant.since}
    count = len(table.mutants) - (0 if tried else len(late))
    assert data["complete"] is True
    assert len(data["score"]["killed"]) == count
    assert set(data["score"]["killed"]) & late == (late if tried else set())
    assert f"killed {count} of {count} mutants" in capsys.readouterr().out
    if tried:
        assert mutants("aliased") == 0
    else:
        with pytest.raises(InputError, match=r"aliased: exists from TensorRT 10 on, .* 8\.6\.1"):
            mutants("aliased")


@NO_GPU
def test_without_a_gpu_nothing_is_verified(tmp_path: Path) -> None:
    done = command("--gpu", "--libraries", tmp_path, "--json", tmp_path / "table.json")
    assert done.returncode == 3
    assert done.stdout.startswith("COULD NOT VERIFY: ")
    assert not (tmp_path / "table.json").exists()


@pytest.mark.gpu
def test_three_mutants_and_a_control_on_a_gpu(tmp_path: Path) -> None:
    """The whole table is a run of its own; these are three that only the gate can kill."""
    libraries = os.environ.get("MISH_MUTANTS")
    if libraries is None:
        pytest.skip("MISH_MUTANTS is not set (a folder with RELEASE/NAME.so)")
    release = ".".join(Tensorrt().status().version.split(".")[:2])
    names = ("reference", "default_stream", "hwc8_unpadded", "crashes")
    words = [word for name in names for word in ("--mutant", name)]
    path = tmp_path / "table.json"
    out = ["--out", tmp_path / "out", "--json", path, "--own"]
    done = command("--gpu", "--libraries", Path(libraries) / release, *words, *out)
    data = json.loads(path.read_text())
    assert data["complete"], done.stdout + done.stderr
    assert data["score"]["killed"] == ["default_stream", "hwc8_unpadded", "crashes"]
    assert data["score"]["alarms"] == {}
