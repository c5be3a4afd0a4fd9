"""Observations: of a run as of a sweep, merged only where they fit, and their table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verify import command, observation
from verify.cases import parse
from verify.engines.nvidia import driver
from verify.errors import InputError
from verify.judge import judge
from verify.observation import Observation, PluginObservation, observe
from verify.oracle import expected
from verify.precision import FP16
from verify.record import EngineRecord
from verify.run import CaseResult
from verify.sample_observation import no_limits
from verify.support import BEGIN, END, matrix, write_readme
from verify.tolerances import DEFAULT_FOLDER, load

Cli = Callable[..., Any]

CASE = "composed-alone-fp16-reference"
PLUGIN = "plugin-alone-fp16-tensorrt"
REPOSITORY = DEFAULT_FOLDER.parent


def _undated(path: Path) -> Any:
    data = json.loads(path.read_text())
    for case in data["cases"].values():
        case["date"] = ""
    return data


def _gpu(**changes: Any) -> Observation:
    """An observation of a plugin on a GPU, made from one of the project's."""
    old = observation.load(DEFAULT_FOLDER / "observed/reference-onnx-1.23.2.json").cases[CASE]
    case = old.model_copy(
        update={
            "driver": "580.95.05",
            "plugin": PluginObservation(
                name="'MishExact', version '1'", library="a.so", sha256="0"
            ),
            **changes,
        }
    )
    return Observation(
        schema_version=1,
        command="observe",
        engine="tensorrt",
        version="8.6.0",
        device="NVIDIA H200",
        cpu="",
        cases={PLUGIN: case},
    )


# --- what a run observes -------------------------------------------------------------------------


@pytest.mark.parametrize("case", [CASE, "composed-conv-fp16-onnxruntime"])
def test_a_run_of_all_inputs_observes_what_a_sweep_does(cli: Cli, case: str) -> None:
    done = cli("run", "--case", case, "--observe", "run.json", "--check", "limits")
    assert done.code == 0, done.err
    assert "observed 1 cases; in run.json" in done.out
    assert cli("sweep", "--case", case, "--observe", "sweep.json").code == 0
    assert _undated(Path("run.json")) == _undated(Path("sweep.json"))


def test_a_body_is_not_observed(cli: Cli) -> None:
    body = "plugin-alone-fp16-reference"
    done = cli("run", "--case", body, "--check", "limits", "--observe", "o.json")
    assert done.code == 0, done.err
    assert "nothing was measured" in done.out
    assert not Path("o.json").exists()


def test_what_has_no_limits_is_measured_all_the_same(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "fp16.toml"
    text = path.read_text()
    block = text.index('forms = ["op", "composed"]\nengines = ["reference"]')
    changed = text[:block] + text[block:].replace('forms = ["op", "composed"]', 'forms = ["op"]', 1)
    path.write_text(changed)
    words = ("--case", CASE, "--check", "limits", "--tolerances", tolerances)
    done = cli("run", *words, "--observe", "o.json")
    assert done.code == 1
    assert "no [[limit]]" in done.out
    bands = observation.load(Path("o.json")).cases[CASE].bands
    assert cli("run", "--case", CASE, "--check", "limits", "--observe", "p.json").code == 0
    others = observation.load(Path("p.json")).cases[CASE].bands
    # A NaN is counted with and without limits; where no deviation is told, it is no exception.
    assert [str(band.worst) for band in bands] == [str(band.worst) for band in others]
    assert [band.histogram for band in bands] == [band.histogram for band in others]


@pytest.mark.parametrize("context", ["alone", "chain", "residual", "branch", "conv"])
def test_no_limits_let_every_number_pass_and_no_nan(context: str) -> None:
    x = FP16.all_values()
    views = expected(context, x, FP16)
    conv = context == "conv"
    wrong = {
        view.output: np.full((len(x), 2) if conv else len(x), 3.0, FP16.dtype) for view in views
    }
    judged = judge(views, wrong, x, FP16, no_limits(context))
    assert not [b for b in judged.breaches if b.kind == "ulp" and b.result != "special"]
    wrong = {name: np.full_like(y, np.nan) for name, y in wrong.items()}
    judged = judge(views, wrong, x, FP16, no_limits(context))
    assert sum(b.count for b in judged.breaches if b.kind == "nan") > 60000


# --- merging -------------------------------------------------------------------------------------


def test_all_inputs_beat_a_sample_of_the_same(tmp_path: Path) -> None:
    path, of_all = tmp_path / "o.json", _gpu()
    observe(path, of_all)
    assert observe(path, _gpu(inputs=1000, checksum="sample")) == (PLUGIN,)
    assert path.read_text() == of_all.to_json()
    assert observe(path, _gpu(inputs=1000, model="another", checksum="sample")) == ()
    assert observation.load(path).cases[PLUGIN].checksum == "sample"
    assert observe(path, of_all) == ()
    assert path.read_text() == of_all.to_json()


def test_another_build_of_a_plugin_replaces_and_another_plugin_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    observe(path, _gpu())
    new = PluginObservation(name="'MishExact', version '1'", library="a.so", sha256="1")
    assert observe(path, _gpu(plugin=new, inputs=1000)) == ()
    assert observation.load(path).cases[PLUGIN].plugin == new
    other = new.model_copy(update={"name": "'Mish_TRT', version '1'"})
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"o\.json: .*MishExact.*Mish_TRT.*name another file"):
        observe(path, _gpu(plugin=other))
    assert path.read_bytes() == before


def test_a_gpu_is_not_told_apart_by_the_cpu_beside_it_nor_by_its_driver(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    observe(path, _gpu())
    observe(path, _gpu(driver="590.1"))
    assert observation.load(path).cases[PLUGIN].driver == "590.1"
    here = EngineRecord(
        engine="tensorrt",
        version="8.6.0",
        executes=True,
        builds=True,
        device="NVIDIA H200",
        reason="",
        driver="580.95.05",
    )
    observation.agree(path, here, "avx of some machine")
    for change in ({"device": "NVIDIA H100"}, {"version": "10.16.0"}, {"engine": "tensorrt_rtx"}):
        with pytest.raises(InputError, match="name another file"):
            observation.agree(path, here.model_copy(update=change), "")
    observation.agree(tmp_path / "none.json", here, "")


def test_a_cpu_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    old = observation.load(DEFAULT_FOLDER / "observed/reference-onnx-1.23.2.json")
    observe(path, old)
    with pytest.raises(InputError, match="observed with cpu"):
        observe(path, old.model_copy(update={"cpu": "sve"}))


def test_results_are_kept_in_one_file(tmp_path: Path) -> None:
    path, one = tmp_path / "o.json", _gpu()
    other = one.model_copy(update={"cases": {"plugin-chain-fp16-tensorrt": one.cases[PLUGIN]}})
    results = [
        CaseResult(parse(PLUGIN), "PASS", observed=one),
        CaseResult(parse("plugin-chain-fp16-tensorrt"), "FAIL", observed=other),
        CaseResult(parse("plugin-conv-fp16-tensorrt"), "SKIPPED"),
    ]
    assert command.keep(path, results) == f"observed 2 cases; in {path}"
    assert list(observation.load(path).cases) == [PLUGIN, "plugin-chain-fp16-tensorrt"]
    assert "nothing was measured" in command.keep(path, results[2:])


def test_an_old_observation_without_a_driver_can_be_read(tmp_path: Path) -> None:
    data = json.loads(_gpu().to_json())
    for case in data["cases"].values():
        del case["driver"], case["plugin"]
    (tmp_path / "o.json").write_text(json.dumps(data))
    case = observation.load(tmp_path / "o.json").cases[PLUGIN]
    assert (case.driver, case.plugin) == ("", None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--precision", "bf16"], "a file is of one engine; give --engine"),
        (["--case", CASE, "--check", "finite"], "--check limits measures"),
        (["--case", CASE, "--json", "o.json"], "name another"),
        (["--case", "composed-alone-fp16-onnxruntime"], "observed with engine 'tensorrt'"),
    ],
)
def test_bad_use_is_refused_before_the_work(cli: Cli, words: list[str], told: str) -> None:
    observe(Path("o.json"), _gpu())
    before = Path("o.json").read_bytes()
    done = cli("run", *words, "--observe", "o.json")
    assert done.code == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert Path("o.json").read_bytes() == before
    assert not Path(".verify").exists()


def test_the_driver_is_told_or_empty() -> None:
    assert driver() == "" or driver()[0].isdigit()


# --- the support matrix --------------------------------------------------------------------------


def test_the_readme_has_the_table_of_the_observations() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    table = matrix(observation.read_folder(DEFAULT_FOLDER / "observed"), load()).strip()
    assert shown == table, "stale: python -m verify observations --readme"


def _row(table: str, start: str) -> list[str]:
    (row,) = (line for line in table.splitlines() if line.startswith(start))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_row_tells_the_worst_and_of_how_many() -> None:
    small = _gpu(inputs=1000)
    table = matrix({"a.json": small}, load())
    cells = _row(table, "| `plugin` 'MishExact', version '1' |")
    assert cells[1] == "`tensorrt` 8.6.0, NVIDIA H200, driver 580.95.05"
    assert cells[2:] == ["not run", "8.542 ULP; 1 000 inputs", "has none"]
    assert _row(table, "| all | `tensorrt` 10.x")[2:] == ["not run"] * 3
    assert "| all | `tensorrt` 8.6 " not in table
    assert "all 65 536" in matrix({"a.json": _gpu()}, load())


def test_a_nan_among_finite_inputs_is_told_apart_from_the_worst() -> None:
    whole = observation.read_folder(DEFAULT_FOLDER / "observed")
    cells = _row(matrix(whole, load()), "| `rational` | `reference`")
    assert cells[2].startswith("52.01 ULP, 1 028 558 312 NaN or inf")


@pytest.mark.parametrize("version", ["8", "7.2.1", "9.3.0", "12.0.1", "dev"])
def test_a_version_that_the_suite_is_not_written_for_has_its_row(version: str) -> None:
    odd = _gpu().model_copy(update={"version": version})
    table = matrix({"a.json": _gpu(), "b.json": odd}, load())
    rows = [line for line in table.splitlines() if "MishExact" in line]
    (row,) = (row for row in rows if f"`tensorrt` {version}, NVIDIA H200" in row)
    assert "8.542 ULP; all 65 536" in row
    assert len(rows) == 2
    for major in ("10", "11"):
        assert f"| all | `tensorrt` {major}.x | not run |" in table
    assert set(matrix({"a.json": _gpu()}, load()).splitlines()) < set(table.splitlines())


def test_another_device_of_onnxruntime_has_its_row() -> None:
    whole = observation.read_folder(DEFAULT_FOLDER / "observed")
    (cpu,) = (seen for seen in whole.values() if seen.engine == "onnxruntime")
    other = cpu.model_copy(update={"device": "ROCm"})
    assert "`onnxruntime` 1.32.0, ROCm" in matrix({"a.json": cpu, "b.json": other}, load())


def test_a_file_that_has_no_row_is_named(cli: Cli, tolerances: Path) -> None:
    old = observation.load(DEFAULT_FOLDER / "observed/reference-onnx-1.23.2.json")
    chain = old.model_copy(
        update={"cases": {k: case for k, case in old.cases.items() if "-chain-" in k}}
    )
    observe(tolerances / "observed/alone.json", old)
    observe(tolerances / "observed/chain.json", chain)
    done = cli("observations", "--tolerances", tolerances)
    assert done.code == 0
    assert done.err == "chain.json: not in the table: no case of context alone\n"
    assert "| `op` | `reference` 1.23.2, CPU | 52.01 ULP" in done.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda case: case["bands"][0].update(output="z"), "an unknown band, or one twice: z "),
        (lambda case: case["bands"][0].update(band="z"), "an unknown band, or one twice: y z"),
        (lambda case: case["bands"][0].update(result="z"), "an unknown band, or one twice: y "),
        (lambda case: case["bands"].append(case["bands"][0]), "an unknown band, or one twice: y "),
        (lambda case: case["bands"][0].update(histogram=[1]), "the histogram of y "),
        (lambda case: case["bands"][0]["histogram"].__setitem__(0, -1), "the histogram of y "),
        (lambda case: case["bands"][0].update(samples=1), "the histogram of y "),
        (lambda case: case["bands"][0].update(nan=1 << 20), "more results are wrong than"),
        (lambda case: case["bands"][0]["worst"].update(x_bits="0x10000"), "0x10000 in fp16"),
        (lambda case: case["accepted"][0]["worst"].update(x_bits="0x10000"), "0x10000 in fp16"),
        (lambda case: case.update(inputs=1 << 17), "131072 of 65536 inputs; there are 65536"),
        (lambda case: case.update(total=1), "65536 of 1 inputs; there are 65536"),
    ],
)
def test_a_damaged_observation_is_refused_in_one_line(
    cli: Cli, tolerances: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    name = "reference-onnx-1.23.2.json"
    data = json.loads((DEFAULT_FOLDER / "observed" / name).read_text())
    change(data["cases"][CASE])
    path = tolerances / "observed" / name
    path.parent.mkdir()
    path.write_text(json.dumps(data))
    done = cli("tolerances", "--tolerances", tolerances)
    assert done.code == 2, done.out
    (line,) = done.err.splitlines()
    assert line.startswith(f"error: {path}: damaged: {CASE}: {told}")


def test_nothing_observed_is_not_run() -> None:
    rows = matrix({}, load()).splitlines()[2:]
    assert len(rows) == 7
    assert all(row.endswith("| not run | not run | not run |") for row in rows)


def test_the_table_goes_between_its_marks_only(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert write_readme(path, "new\n")
    assert path.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert not write_readme(path, "new\n")
    path.write_text("nothing\n")
    with pytest.raises(InputError, match="has no lines"):
        write_readme(path, "new\n")
    assert path.read_text() == "nothing\n"
    with pytest.raises(InputError, match="can't be read"):
        write_readme(tmp_path / "none.md", "new\n")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"README\.md: not UTF-8"):
        write_readme(path, "new\n")
    assert path.read_bytes() == b"\xff\xfe"


def test_a_table_of_mutants_beside_observations_is_none(tmp_path: Path) -> None:
    (tmp_path / "mutants.json").write_text('{"command": "mutants"}')
    assert observation.read_folder(tmp_path) == {}
    (tmp_path / "other.json").write_text('{"command": "other"}')
    with pytest.raises(InputError, match=r"other\.json: not an observation"):
        observation.read_folder(tmp_path)


def test_the_gate_refuses_before_the_work_what_it_can_not_observe_into(cli: Cli) -> None:
    library = next(Path(np.__file__).parent.rglob("*.so"))  # any shared library will do
    observe(Path("o.json"), _gpu())
    gate = ("gate", "--plugin", library, "--observe", "o.json")
    done = cli(*gate, "--check", "finite")
    assert done.code == 2
    assert "--check limits measures" in done.err
    done = cli(*gate, "--json", "o.json")
    assert done.code == 2
    assert "name another" in done.err
    Path("broken.json").write_text("{")
    done = cli(*gate[:-1], "broken.json")
    assert done.code == 2
    assert "broken.json: not an observation" in done.err
    assert not Path(".verify").exists()
