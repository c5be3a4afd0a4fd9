"""The wrong plugins compile without a warning, and TensorRT sees them as their sources say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from verify import mutation
from verify.engines.registry import Listing, listing
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.library import read
from verify.mutation import MutantTable, Toolchain
from verify.worker import Died, Worker

Libraries = Callable[[str], Path]


@pytest.mark.headers
@pytest.mark.parametrize("release", ["8.6", "10.16", "11.1"])
def test_every_mutant_compiles_without_a_warning(
    release: str, libraries: Libraries, table: MutantTable
) -> None:
    folder = libraries(release)
    assert all((folder / f"{name}.so").stat().st_size > 0 for name in table.names_in(release))


@pytest.mark.headers
def test_those_of_ipluginv3_compile_against_its_first_headers_too(
    table: MutantTable, tmp_path: Path
) -> None:
    try:
        tools = mutation.toolchain("10.0")
    except InputError as error:
        pytest.skip(str(error))
    late = [mutant.name for mutant in table.mutants if mutant.since]
    assert mutation.build(table, late, tmp_path, tools) == {}


@pytest.mark.headers
@pytest.mark.parametrize("release", ["10.0", "10.16", "11.1"])
def test_what_an_ipluginv3_answers(release: str, table: MutantTable, tmp_path: Path) -> None:
    try:
        tools = mutation.toolchain(release)
    except InputError as error:
        pytest.skip(str(error))
    plugin = Path(__file__).resolve().parents[2] / "plugin"
    made = tmp_path / "answers"
    words: list[str | Path] = [tools.nvcc, "-std=c++17", "-Xcompiler=-Wall,-Wextra,-Werror"]
    words += ["-isystem", tools.include, "-I", table.folder / "plugins", "-I", plugin]
    words += [table.folder / "v3_answers.cu", plugin / "mish_tensor.cc", "-o", made]
    subprocess.run(words, check=True)
    done = subprocess.run([made], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "0 failures\n"


def load(library: Path) -> Listing:
    worker = Worker()
    try:
        found: Listing = worker.call(listing, read(library), (), seconds=60)
        assert worker.finish() == "", library.name
        return found
    finally:
        worker.close()


@pytest.mark.headers
def test_mutants_register_what_they_say(libraries: Libraries, table: MutantTable) -> None:
    if not Tensorrt().status().version.startswith("8.6"):
        pytest.skip("TensorRT 8.6 is not installed")
    folder = libraries("8.6")
    names = {mutation.REFERENCE: "MishExact", "registered_as_mish": "Mish"}
    with_field, on_request = [], []
    for name in table.names_in("8.6"):
        if name == "fields_dangling":
            with pytest.raises(Died, match="SIGSEGV"):
                load(folder / f"{name}.so")
            continue
        found = load(folder / f"{name}.so")
        (creator,) = found.creators
        assert creator.name.op == names.get(name, "MishMutant"), name
        assert (creator.name.version, creator.name.namespace) == ("1", ""), name
        with_field += [name] if creator.fields else []
        on_request += [name] if found.on_request else []
    assert on_request == ["not_unloadable"]
    assert "right_with_field" in with_field
    assert "right" not in with_field


@pytest.mark.headers
def test_what_is_built_is_not_built_again_and_a_fault_is_one_line(
    table: MutantTable, tmp_path: Path
) -> None:
    try:
        tools = mutation.toolchain("8.6")
    except InputError as error:
        pytest.skip(str(error))
    out = tmp_path / "out"
    assert mutation.build(table, ["no_combination"], out, tools) == {}
    library = out / "no_combination.so"
    first = library.stat().st_mtime_ns
    assert mutation.build(table, ["no_combination"], out, tools) == {}
    assert library.stat().st_mtime_ns == first
    (table.folder / "plugins" / "no_combination.cu").read_text()
    broken = table.model_copy(update={"folder": tmp_path})
    (tmp_path / "plugins").mkdir()
    for name, text in (("wrong", "int f( {"), ("warned", "static int unused() { return 1; }")):
        (tmp_path / "plugins" / f"{name}.cu").write_text(text)
    faults = mutation.build(broken, ["wrong", "warned"], out, tools)
    assert set(faults) == {"wrong", "warned"}
    assert all("\n" not in fault and fault for fault in faults.values())
    assert not (out / "wrong.so").exists()
    assert not (out / "warned.so").exists()
    assert [path.name for path in out.glob(".*.so.*") if not path.name.endswith(".made")] == []


def headers(root: Path, release: str, text: str = "") -> Path:
    include = root / release / "include"
    include.mkdir(parents=True)
    major, minor = release.split(".")
    numbers = f"#define NV_TENSORRT_MAJOR {major}\n#define NV_TENSORRT_MINOR {minor}\n"
    (include / "NvInfer.h").touch()
    (include / "NvInferVersion.h").write_text(text or numbers)
    return include


def test_the_toolchain_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TENSORRT_HEADERS", "TENSORRT_ROOT", "CUDACXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CUDA_HOME", "/none")
    with pytest.raises(InputError, match="put it on PATH or set CUDACXX or CUDA_HOME"):
        mutation.toolchain()
    monkeypatch.setenv("CUDACXX", "nvcc")
    with pytest.raises(InputError, match="set TENSORRT_HEADERS to a folder"):
        mutation.toolchain()
    monkeypatch.setenv("TENSORRT_HEADERS", str(tmp_path))
    with pytest.raises(InputError, match=r"has no RELEASE/include/NvInfer\.h"):
        mutation.toolchain()
    include = headers(tmp_path, "8.6")
    assert mutation.toolchain() == Toolchain("nvcc", include, "8.6")
    headers(tmp_path, "9.0", "nothing")
    with pytest.raises(InputError, match=r"8\.6, 9\.0; choose one with --headers"):
        mutation.toolchain()
    with pytest.raises(InputError, match=r"--headers 7\.0: TENSORRT_HEADERS has 8\.6, 9\.0"):
        mutation.toolchain("7.0")
    with pytest.raises(InputError, match=r"NvInferVersion\.h: names no release"):
        mutation.toolchain("9.0")
    monkeypatch.delenv("TENSORRT_HEADERS")
    monkeypatch.setenv("TENSORRT_ROOT", str(include.parent))
    assert mutation.toolchain().include == include
    (include / "NvInferVersion.h").unlink()
    with pytest.raises(InputError, match=r"NvInferVersion\.h: can't be read"):
        mutation.toolchain()
