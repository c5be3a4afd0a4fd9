from __future__ import annotations

import _ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from verify import observation
from verify.cases import parse
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.sweep.record import SweepRecord, limits_digest, load, merge_records, write
from verify.tolerances import DEFAULT_FOLDER
from verify.tolerances import load as load_tolerances

Cli = Callable[..., Any]
Swept = Callable[..., SweepRecord]

CASE = "composed-alone-fp16-reference"


def _timeless(path: Path) -> str:
    data = json.loads(path.read_text())
    assert set(data.pop("timing")) == {
        "date",
        "seconds",
        "engine_seconds",
        "inputs_per_second",
        "ratio",
    }
    return json.dumps(data)


def _shards(cli: Cli, count: int, case: str = CASE) -> list[Path]:
    for i in range(1, count + 1):
        assert cli("sweep", "--case", case, "--shard", f"{i}/{count}").code == 0
    return [Path(f".verify/sweep/{case}.{i}-of-{count}.json") for i in range(1, count + 1)]


def test_a_sweep_leaves_a_strict_record(cli: Cli) -> None:
    done = cli("sweep", "--case", CASE, "--out", "deep/record.json")
    assert done.code == 0, done.out + done.err
    assert "KNOWN" in done.out
    assert "65 536 of 65 536" in done.out
    text = Path("deep/record.json").read_text()
    raw = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert raw["schema_version"] == 1
    assert raw["environment"]["engines"][0]["version"]
    assert raw["timing"]["ratio"] >= 1
    assert raw["checksum"] in done.out
    assert load(Path("deep/record.json")).to_json() == text
    nonfinite = raw["tally"]["bands"][-1]
    assert nonfinite["worst"]["error_ulp"] == "Infinity"
    assert [path.name for path in Path("deep").iterdir()] == ["record.json"]


def test_two_runs_have_the_same_checksum(cli: Cli) -> None:
    for name in ("a.json", "b.json"):
        assert cli("sweep", "--case", CASE, "--out", name).code == 0
    assert _timeless(Path("a.json")) == _timeless(Path("b.json"))
    done = cli("diff", "a.json", "b.json")
    assert done.code == 0
    assert done.out.startswith(f"{CASE}: bitwise the same (")
    assert len(done.out.splitlines()) == 1


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("case", [CASE, "rational-conv-bf16-reference"])
def test_merged_shards_are_the_unsharded_record(cli: Cli, case: str, count: int) -> None:
    shards = _shards(cli, count, case)
    done = cli("merge", *reversed(shards), "--out", "merged.json", "--observe", "m.json")
    assert done.code == 0, done.out + done.err
    assert cli("sweep", "--case", case, "--out", "whole.json", "--observe", "w.json").code == 0
    assert _timeless(Path("merged.json")) == _timeless(Path("whole.json"))
    one, other = (observation.load(Path(name)).cases[case] for name in ("m.json", "w.json"))
    for band, same in zip(one.bands, other.bands, strict=True):
        assert band.model_dump_json() == same.model_dump_json()
    assert one.checksum == other.checksum


def test_shards_of_unknown_plans_do_not_merge(swept: Swept) -> None:
    case = "op-chain-fp16-tensorrt"
    limits = load_tolerances().limits(parse(case), "8.6.0")
    named = [
        (
            f"{first}.json",
            swept("op-chain-fp16-reference", first, first + 32).model_copy(
                update={"case": case, "limits": limits_digest(limits)}
            ),
        )
        for first in (0, 32)
    ]
    with pytest.raises(InputError, match=r"0\.json: no plan is kept of the context chain"):
        merge_records(named, limits)
    same = [(name, record.model_copy(update={"plan": "0" * 64})) for name, record in named]
    assert merge_records(same, limits).exhaustive
    whole = swept("op-chain-fp16-reference").model_copy(
        update={"case": case, "limits": limits_digest(limits)}
    )
    assert merge_records([("whole.json", whole)], limits).exhaustive


def _tighten(tolerances: Path) -> None:
    """Allow composed layers less in the well than they need."""
    path = tolerances / "fp16.toml"
    path.write_text(path.read_text().replace('"well" = 2.0', '"well" = 1.25'))


def test_shards_with_findings_merge_to_the_same_findings(cli: Cli, tolerances: Path) -> None:
    _tighten(tolerances)
    words = ("--case", CASE, "--tolerances", tolerances)
    codes = [cli("sweep", *words, "--shard", f"{i}/2").code for i in (1, 2)]
    assert codes == [0, 1], "the well has negative x, which is in the second half"
    shards = [f".verify/sweep/{CASE}.{i}-of-2.json" for i in (1, 2)]
    merged = cli("merge", *shards, "--out", "m.json", "--tolerances", tolerances)
    assert merged.code == 1
    whole = cli("sweep", *words, "--out", "w.json")
    assert whole.code == 1
    assert _timeless(Path("m.json")) == _timeless(Path("w.json"))
    assert "limit 1.25 ULP" in merged.out
    for done in (merged, whole):
        assert "  replay  " in done.out
        assert "NOT REPRODUCED" not in done.out
    (folder,) = Path("findings").iterdir()
    assert str(folder) in merged.out
    for shard in shards:  # as from a machine with another version
        data = json.loads(Path(shard).read_text())
        data["environment"]["engines"][0]["version"] = "0.1"
        Path(shard).write_text(json.dumps(data))
    foreign = cli("merge", *shards, "--out", "m.json", "--tolerances", tolerances)
    assert foreign.code == 1
    line = f"python -m verify sweep --case {CASE} --tolerances {tolerances}"
    assert line in foreign.out
    assert "not executed: reference 0.1 does not execute here" in foreign.out


def _edited(path: Path, name: str, **changes: Any) -> Path:
    """A copy of a record with some values changed; ``a__b`` is b in a."""
    data = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        inner = data
        for part in outer:
            inner = inner[int(part)] if part.isdigit() else inner[part]
        inner[last] = value
    copy = path.with_name(name)
    copy.write_text(json.dumps(data))
    return copy


def test_shards_that_do_not_fit_are_refused(cli: Cli, tolerances: Path) -> None:
    first, second, third = _shards(cli, 3)
    half = Path(f".verify/sweep/{CASE}.2-of-2.json")
    assert cli("sweep", "--case", CASE, "--shard", "2/2").code == 0
    whole = Path("whole.json")
    assert cli("sweep", "--case", CASE, "--out", whole).code == 0
    other = "op-alone-fp16-reference"
    assert cli("sweep", "--case", other, "--shard", "2/3").code == 0
    foreign = Path(f".verify/sweep/{other}.2-of-3.json")
    newer = _edited(second, "a.json", environment__engines__0__version="99.0")
    older_cpu = _edited(second, "b.json", environment__cpu="avx")
    model = _edited(second, "c.json", model="0" * 64)
    plan = _edited(second, "g.json", plan="0" * 64)
    numpy = _edited(second, "d.json", environment__numpy="1.0.0")
    reason = "x" * 500
    near, far = (
        _edited(path, name, environment__engines__0__reason=reason + end)
        for path, name, end in ((first, "h.json", " new"), (second, "i.json", " old"))
    )
    limits = _edited(second, "e.json", limits="0" * 64)
    cut = _edited(second, "f.json", complete=False)
    for files, told in (
        ((first, second), "missing: units 42 to 63 of 64"),
        ((second, third), "missing: units 0 to 20 of 64"),
        ((first, third), "missing: units 21 to 41 of 64"),
        ((first, second, third, third), f"overlaps {third}: units 42 to 63"),
        ((first, second, half), f"overlaps {second}: units 32 to 41"),
        ((whole, second), f"{second}: overlaps {whole}: units 21 to 41"),
        ((first, foreign, third), "another case"),
        ((first, newer, third), "another engine"),
        ((first, older_cpu, third), "another CPU instruction set"),
        ((first, model, third), "another model"),
        ((first, plan, third), "one --plans DIR"),
        ((first, numpy, third), f"another environment than {first}: numpy: 1.0.0, not 2."),
        ((near, far, third), "x old, not ..."),
        ((near, far, third), "another environment than .verify/sweep/h.json: engines.0.reason: "),
        ((first, limits, third), "another tolerances"),
        ((first, cut, third), "interrupted"),
    ):
        done = cli("merge", *files, "--out", "no.json")
        _refused(done, told)
    path = tolerances / "fp16.toml"
    path.write_text(path.read_text().replace('"well" = 2.0', '"well" = 2.5'))
    done = cli("merge", first, second, third, "--tolerances", tolerances)
    _refused(done, "other tolerances than fp16.toml has now")
    assert not Path("no.json").exists()
    assert cli("merge", first, second, third).code == 0


def _refused(done: Any, told: str) -> None:
    assert done.code == 2, done.out
    assert told in done.err
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
    assert len(done.err) < 1000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--op", "MishExact"], "only with --plugin"),
        (["--field", "a=1"], "only with --plugin"),
        (["--plugin", "gone.so"], "gone.so: no such file"),
        (["--plugin", _ctypes.__file__, "--form", "op"], "only with the form plugin"),
        (["--plugin", _ctypes.__file__, "--engine", "reference"], "and the engine tensorrt"),
        (["--plugin", _ctypes.__file__, "--preload", "gone.so"], "--preload gone.so: no such file"),
        (["--plugin", _ctypes.__file__, "--field", "a"], "--field 'a': expected NAME=VALUE"),
        (["--plugin", _ctypes.__file__, "--case", CASE], "no case passes all filters"),
    ],
)
def test_a_plugin_that_can_not_be_meant_is_refused(cli: Cli, words: list[str], told: str) -> None:
    _refused(cli("sweep", *words), told)


@pytest.mark.skipif(Tensorrt().status().executes, reason="a GPU and TensorRT are here")
def test_a_plugin_is_swept_on_a_gpu_only(cli: Cli) -> None:
    done = cli("sweep", "--plugin", _ctypes.__file__)
    assert done.code == 3
    assert done.out.startswith("nothing was executed: no")


def test_damaged_records_are_refused(cli: Cli) -> None:
    (path,) = _shards(cli, 1)
    text = path.read_text()
    Path("cut.json").write_text(text[: len(text) // 2])
    Path("empty.json").write_text("")
    Path("binary.json").write_bytes(b"\xff\xfe\x00")
    Path("list.json").write_text("[]")
    histogram = json.loads(text)["tally"]["bands"][0]["histogram"]
    histogram[0] += 1
    digests = json.loads(text)["digests"]
    for name, changes in (
        ("unknown.json", {"more": 1}),
        ("version.json", {"schema_version": 2}),
        ("digest.json", {"digests": ["0" * 16, *digests[1:]]}),
        ("few.json", {"digests": digests[1:]}),
        ("units.json", {"units": 65}),
        ("end.json", {"end": 63}),
        ("bucket.json", {"tally__bands__0__histogram": histogram}),
        ("samples.json", {"tally__bands__0__samples": 1}),
        ("seconds.json", {"timing__seconds": -1e308}),
        ("case.json", {"case": "gelu-alone-fp16-reference"}),
    ):
        _edited(path, name, **changes).rename(name)
    for name in ("cut", "empty", "binary", "list", "unknown", "version", "digest", "few", "units",
                 "end", "bucket", "samples", "seconds", "case", "absent"):  # fmt: skip
        _refused(cli("merge", f"{name}.json"), "" if name == "case" else f"{name}.json")
        _refused(cli("diff", path, f"{name}.json"), "" if name == "case" else f"{name}.json")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sweep", "--case", CASE, "--shard", "3/2"], "--shard 3/2"),
        (["sweep", "--case", CASE, "--shard", "0/2"], "--shard 0/2"),
        (["sweep", "--case", CASE, "--shard", "1/65"], "1 to 64"),
        (["sweep", "--case", CASE, "--shard", "half"], "I/N"),
        (["sweep", "--case", "op-alone"], "FORM-CONTEXT-PRECISION-ENGINE"),
        (["sweep", "--form", "gelu"], "--form"),
        (["sweep", "--case", CASE, "--form", "op"], "no case"),
        (["sweep", "--form", "op", "--out", "one.json"], "--out one.json"),
        (["sweep", "--case", CASE, "--out", "file/x"], "file/x"),
        (["sweep", "--case", CASE, "--out", "file/x.json"], "file"),
        (["sweep", "--case", CASE, "--observe", "file/o.json"], "file/o.json"),
        (["sweep", "--case", CASE, "--observe", "file"], "not an observation"),
        (["sweep", "--case", CASE, "--observe", "f.json"], "--observe f.json: a folder"),
        (["sweep", "--case", CASE, "--observe", "/proc/o.json"], "--observe /proc/o.json: can't"),
        (["sweep", "--case", CASE, "--out", "f.json"], "--out f.json: a folder"),
        (["sweep", "--case", CASE, "--out", "o.json", "--observe", "./o.json"], "name another"),
        (["sweep", "--case", CASE, "--out", "d", "--observe", f"d/{CASE}.json"], "name another"),
        (["sweep", "--case", CASE, "--out", "in"], f"--out in/{CASE}.json: a folder"),
        (
            ["sweep", "--case", CASE, "--plans", "p"],
            "--plans: only for sweeps of the engine tensorrt",
        ),
        (
            ["sweep", "--case", "op-chain-fp16-tensorrt", "--plans", "p"],
            "--plans: only for sweeps of the engine tensorrt in the context alone",
        ),
        (["sweep", "--case", CASE, "--observe", "o.json", "--shard", "1/2"], "merge"),
        (["sweep", "--precision", "bf16", "--observe", "o.json"], "one engine"),
        (["sweep", "--case", CASE, "--sample"], "--sample"),
        (["sweep", "--case", CASE, "--tolerances", "absent"], "absent"),
        (["merge"], "name the shards"),
        (["merge", "absent.json"], "absent.json"),
        (["merge", "file"], "not a sweep's record"),
        (["diff", "file", "file"], "neither a record nor an observation"),
        (["diff", "absent.json", "file"], "absent.json"),
        (["tolerances", "--tolerances", "absent"], "absent"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(cli: Cli, words: list[str], told: str) -> None:
    Path("file").write_text("in the way")
    Path("f.json").mkdir()
    Path(f"in/{CASE}.json").mkdir(parents=True)
    _refused(cli(*words), told)
    assert Path("file").read_text() == "in the way"
    assert not list(Path().rglob("findings"))
    assert not [path for path in Path().rglob("*.json") if path.is_file()]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--observe", "f.json"], "--observe f.json: a folder"),
        (["--observe", "/proc/o.json"], "--observe /proc/o.json: can't be written"),
        (["--observe", "m.json"], "--observe m.json: the same file as a record"),
        (["--observe", "sub/../two.json"], "--observe sub/../two.json: the same file as a record"),
        (["--observe", "gpu.json"], "gpu.json: observed with engine 'tensorrt', not 'reference'"),
        (["--observe", "damaged.json"], "damaged.json: not an observation"),
        (["--out", "f.json"], "--out f.json: a folder"),
        (["--out", "/proc/m.json"], "--out /proc/m.json: can't be written"),
    ],
)
def test_a_merge_that_could_not_be_kept_is_not_begun(
    cli: Cli, swept: Swept, words: list[str], told: str
) -> None:
    for name, first, end in (("one", 0, 32), ("two", 32, 64)):
        span = {"first": first, "end": end}
        Path(f"{name}.json").write_text(swept(CASE, **span).to_json())
    Path("f.json").mkdir()
    Path("sub").mkdir()
    Path("damaged.json").write_text("{}")
    shutil.copy(DEFAULT_FOLDER / "observed/tensorrt-8.6.0-nvidia-h200.json", "gpu.json")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    out = () if "--out" in words else ("--out", "m.json")
    _refused(cli("merge", "one.json", "two.json", *out, *words), told)
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_a_listed_refusal_is_skipped(cli: Cli) -> None:
    done = cli("sweep", "--case", "op-alone-bf16-onnxruntime")
    assert done.code == 3
    assert "NOT_IMPLEMENTED" in done.out
    done = cli("sweep", "--case", "op-alone-bf16-tensorrt")
    assert done.code == 3


def test_a_refusal_that_no_longer_happens_is_stale(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "fp16.toml"
    path.write_text(
        path.read_text()
        + f'\n[[refusal]]\ncases = ["{CASE}"]\nwords = "no"\nreason = "never happens at all"\n'
    )
    done = cli("sweep", "--case", CASE, "--tolerances", tolerances)
    assert done.code == 1
    assert "STALE" in done.out


def test_an_observation_replaces_the_same_case_only(cli: Cli) -> None:
    for case in (CASE, "op-alone-fp16-reference", CASE):
        assert cli("sweep", "--case", case, "--observe", "o.json").code == 0
    one = observation.load(Path("o.json"))
    assert list(one.cases) == [CASE, "op-alone-fp16-reference"]
    observed = one.cases[CASE]
    assert (observed.inputs, observed.total) == (65536, 65536)
    assert sum(band.samples for band in observed.bands) == 65536
    assert [accepted.count for accepted in observed.accepted] == [1]
    assert json.loads(one.to_json()) == json.loads(Path("o.json").read_text())
    _refused(
        cli("sweep", "--case", "op-alone-fp16-onnxruntime", "--observe", "o.json"),
        "observed with engine 'reference'",
    )
    done = cli("diff", "o.json", f".verify/sweep/{CASE}.json")
    assert done.code == 0, done.out
    assert "only in o.json: op-alone-fp16-reference" in done.out
    assert f"{CASE}: bitwise the same" in done.out


def test_another_build_of_a_plugin_and_another_driver_are_named(cli: Cli) -> None:
    assert cli("sweep", "--case", CASE, "--observe", "a.json").code == 0
    text = json.loads(Path("a.json").read_text())
    case = text["cases"][CASE]
    builds = ("1" * 64, "2" * 64)
    for name, driver, build in zip("ab", ("580.1", "590.2"), builds, strict=True):
        case["driver"] = driver
        case["plugin"] = {"name": "'Mish', version '1'", "library": "libm.so", "sha256": build}
        Path(f"{name}.json").write_text(json.dumps(text))
    done = cli("diff", "a.json", "b.json")
    assert done.code == 0, done.out + done.err
    assert "driver: 580.1 -> 590.2" in done.out
    assert f"library {'1' * 16}" in done.out
    assert f"library {'2' * 16}" in done.out


def test_a_sample_is_observed_and_says_so(cli: Cli) -> None:
    done = cli("sweep", "--case", CASE, "--sample", "--observe", "o.json")
    assert done.code == 0, done.err
    assert not Path(".verify").exists()
    assert observation.load(Path("o.json")).cases[CASE].inputs == 65536


def test_what_a_sample_does_not_replace_is_said_to_stay(cli: Cli) -> None:
    case = "op-chain-fp32-reference"
    words = ("sweep", "--case", case, "--sample", "--observe", "o.json")
    done = cli(*words)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "1 KNOWN; observed 1 cases; in o.json"
    data = json.loads(Path("o.json").read_text())
    data["cases"][case]["inputs"] = 1 << 32
    Path("o.json").write_text(json.dumps(data))
    done = cli(*words)
    told = "nothing written to o.json, which holds more inputs of all 1 cases"
    assert done.out.splitlines()[-1] == f"1 KNOWN; {told}"
    assert observation.load(Path("o.json")).cases[case].exhaustive


def test_an_interrupted_sweep_replaces_no_fuller_record(tmp_path: Path, swept: Swept) -> None:
    path, partial = tmp_path / "r.json", tmp_path / "r.partial.json"
    whole, part, less = swept(CASE), swept(CASE, 0, 20), swept(CASE, 0, 10)
    part, less = (record.model_copy(update={"complete": False}) for record in (part, less))
    assert write(path, less) == write(path, part) == (path, True), "more replaces less"
    assert write(path, less) == (partial, True)
    assert (path.read_text(), partial.read_text()) == (part.to_json(), less.to_json())
    partial.write_text(part.to_json())
    assert write(path, less) == (partial, False), "less replaces more nowhere"
    assert partial.read_text() == part.to_json()
    assert write(path, whole) == (path, True), "all replaces a part"
    assert not partial.exists(), "a part of what is finished is of no use"
    assert write(path, part) == (partial, True)
    assert (path.read_text(), partial.read_text()) == (whole.to_json(), part.to_json())
    shard = swept(CASE, 0, 5)
    assert write(path, shard) == (path, True), "what was asked for and is finished replaces all"
    assert partial.read_text() == part.to_json(), "of more than the shard"
    assert write(path, part) == (partial, True)
    path.write_text("{}")
    assert write(path, part) == (path, True)


def test_a_finished_sweep_takes_away_its_own_part_only(tmp_path: Path, swept: Swept) -> None:
    path, partial = tmp_path / "r.json", tmp_path / "r.partial.json"
    whole = swept(CASE)
    other = swept("op-alone-fp16-reference", 0, 5).model_copy(update={"complete": False})
    for text in ("{}", "mine", other.to_json(), whole.to_json()):
        partial.write_text(text)
        assert write(path, whole) == (path, True)
        assert partial.read_text() == text


def test_ctrl_c_during_a_merges_replays_loses_nothing(
    cli: Cli, tolerances: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tighten(tolerances)
    words = ("--tolerances", tolerances)
    cli("sweep", "--case", CASE, *words, "--out", "w.json")

    def pressed(*given: object, **options: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.sweep.findings.store", pressed)
    done = cli("merge", "w.json", *words, "--out", "m.json", "--observe", "o.json")
    assert done.code == 130
    assert done.err.splitlines()[-1] == (
        "interrupted before the findings were told; record in m.json; observed 1 cases; in o.json"
    )
    assert _timeless(Path("m.json")) == _timeless(Path("w.json"))
    assert observation.load(Path("o.json")).cases[CASE].exhaustive


def test_a_merge_of_another_provider_says_so(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "fp16.toml"
    path.write_text(path.read_text().replace('"well" = 0.51', '"well" = 0.4'))
    words = ("--tolerances", tolerances)
    case = "composed-alone-fp16-onnxruntime"
    assert cli("sweep", "--case", case, *words, "--out", "w.json").code == 1
    cuda = _edited(Path("w.json"), "c.json", environment__engines__0__device="CUDA, NVIDIA H200")
    done = cli("merge", cuda, *words, "--out", "m.json")
    assert done.code == 1, done.err
    assert "NOT REPRODUCED" not in done.out
    assert f"sweep --case {case} --tolerances {tolerances} --ort-provider cuda" in done.out
    assert "not executed: " in done.out
    done = cli("merge", "w.json", *words, "--out", "m.json")
    assert done.code == 1, done.err
    assert "--ort-provider" not in done.out
    assert "not executed" not in done.out


def _interrupted(folder: Path, seconds: float, *words: str) -> tuple[int, list[str]]:
    """Start a sweep, press Ctrl-C so long after its folder is there: exit code, standard error."""
    started = subprocess.Popen(
        [sys.executable, "-m", "verify", "sweep", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(DEFAULT_FOLDER.parent)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        if (folder / ".verify/sweep").exists():
            break
        time.sleep(0.05)
    time.sleep(seconds)
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, errors = started.communicate(timeout=60)
    return started.returncode, [line for line in errors.splitlines() if line]


@pytest.mark.parametrize("before", ["", "a finished record"])
def test_ctrl_c_keeps_what_is_done(tmp_path: Path, swept: Swept, before: str) -> None:
    case = "composed-alone-fp32-reference"
    name = path = Path(f".verify/sweep/{case}.json")
    if before:
        before = swept(CASE).to_json()
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(before)
        name = path.with_name(f"{case}.partial.json")
    for seconds in (3, 6, 12, 24):  # a busy machine takes its time to start the processes
        code, errors = _interrupted(tmp_path, seconds, "--case", case, "--observe", "o.json")
        assert code == 130
        if errors == ["interrupted"]:  # while it started
            continue
        assert len(errors) == 2, errors
        assert errors[1] == "interrupted"
        if not errors[0].startswith("nothing of"):
            break
    record = load(tmp_path / name)
    assert errors[0] == f"kept {record.coverage} inputs of {case} in {name}"
    assert not record.complete
    assert 0 < record.tally.inputs < 1 << 32
    assert record.tally.inputs == record.end * record.unit
    assert not (tmp_path / "o.json").exists(), "a part is no observation"
    if before:
        assert (tmp_path / path).read_text() == before


def test_a_killed_sweep_leaves_no_process(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from verify.sweep import run\n"
        "from verify.cases import parse\n"
        "from verify.engines import engine\n"
        "from verify.run import model_of\n"
        "from verify.sweep.span import whole\n"
        "from verify.tolerances import load\n"
        "case = parse('composed-alone-fp32-reference')\n"
        "host = run.Host(engine('reference'), case, model_of(case), load().limits(case))\n"
        "host.jobs = 2\n"
        "next(host.parts(whole(case.precision)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    script = tmp_path / "killed.py"
    script.write_text("if __name__ == '__main__':\n    " + code.replace("\n", "\n    ") + "\n")
    environment = {**os.environ, "PYTHONPATH": str(DEFAULT_FOLDER.parent)}
    # Every process of the sweep holds this pipe open: it ends when all of them have.
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_diff_says_what_got_worse_and_where(cli: Cli, swept: Swept) -> None:
    Path("right.json").write_text(swept(CASE).to_json())
    Path("wrong.json").write_text(swept(CASE, wrong="one-input-wrong").to_json())
    done = cli("diff", "right.json", "wrong.json")
    assert done.code == 1
    assert "not bitwise the same" in done.out
    assert "y bulk (regular): worse: " in done.out
    assert "0x399a" in done.out
    assert "0 beyond the limit -> 1" in done.out
    assert "model: " in done.out
    back = cli("diff", "wrong.json", "right.json")
    assert back.code == 1
    assert "y bulk (regular): better: " in back.out
    other = swept("op-alone-bf16-reference").to_json()
    Path("other.json").write_text(other)
    _refused(cli("diff", "right.json", "other.json"), "no case in common")


def test_diff_says_which_units_differ(cli: Cli, swept: Swept) -> None:
    case = "composed-alone-fp16-onnxruntime"
    record = swept(case, 0, 20)
    digests = list(record.digests)
    for unit in (3, 4, 9):
        digests[unit] = "0" * 16
    from verify.sweep.checksum import checksum

    changed = record.model_copy(update={"digests": tuple(digests), "checksum": checksum(digests)})
    Path("a.json").write_text(record.to_json())
    Path("b.json").write_text(changed.to_json())
    done = cli("diff", "a.json", "b.json")
    assert done.code == 1
    assert "3 of 20 units differ" in done.out
    assert "bits 0x0c00 to 0x13ff" in done.out
    assert "bits 0x2400 to 0x27ff" in done.out


def test_diff_names_a_new_version(cli: Cli, swept: Swept) -> None:
    record = swept(CASE)
    (engine,) = record.environment.engines
    engines = (engine.model_copy(update={"version": "99.0"}),)
    environment = record.environment.model_copy(update={"engines": engines, "cpu": "avx"})
    Path("a.json").write_text(record.to_json())
    Path("b.json").write_text(record.model_copy(update={"environment": environment}).to_json())
    done = cli("diff", "a.json", "b.json")
    assert done.code == 0
    assert f"engine: reference {engine.version} on CPU -> reference 99.0 on CPU" in done.out
    assert "CPU: " in done.out
    assert "bitwise the same" in done.out


def test_diff_reads_the_record_of_a_run(cli: Cli) -> None:
    assert cli("run", "--case", CASE, "--check", "limits").code == 0
    assert cli("sweep", "--case", CASE).code == 0
    done = cli("diff", ".verify/record.json", f".verify/sweep/{CASE}.json")
    assert done.code in (0, 1)
    assert "bits unknown: no checksum" in done.out


def test_a_foreign_observation_is_no_observation(tmp_path: Path, swept: Swept) -> None:
    path = tmp_path / "o.json"
    for text in ("", "{}", "[]", swept(CASE, 0, 1).to_json()):
        path.write_text(text)
        with pytest.raises(InputError, match="not an observation"):
            observation.load(path)


def test_what_has_no_limits_is_observed_and_not_judged(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "fp16.toml"
    # Composed loses its limits on the reference evaluator.
    text = path.read_text().replace('engines = ["reference"]', 'engines = ["tensorrt_rtx"]')
    text = text.replace('engines = ["reference", "onnxruntime"]', 'engines = ["onnxruntime"]')
    path.write_text(text)
    words = ("sweep", "--case", CASE, "--tolerances", tolerances, "--out", "r.json")
    done = cli(*words)
    assert done.code == 1, done.err
    assert "no [[limit]] for form 'composed'" in done.out
    assert not Path("r.json").exists()
    observed = cli(*words, "--observe", "o.json")
    assert observed.code == 1
    assert "no [[limit]] for form 'composed'" in observed.out
    (case,) = observation.load(Path("o.json")).cases.values()
    assert case.inputs == 1 << 16
    assert case.accepted == ()
