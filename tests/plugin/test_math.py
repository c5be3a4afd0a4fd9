"""The plugin's arithmetic, compiled for the host, is correctly rounded.

``plugin/mish_math.h`` says why what holds on the host holds on the GPU. ``plugin/sweep.cc``
compares it with glibc's double ``exp`` and, where that cannot decide, with libquadmath; here
mpmath, which shares nothing with either, has the last word: on every fp16 and bf16 input, and on
the fp32 inputs whose results lie closest to a rounding boundary.
"""

from __future__ import annotations

import json
import math
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import numpy.typing as npt
import pytest

Compile = Callable[[list[str | Path]], None]

# Coprime to 2^32, so that 2^24 steps visit every exponent, and low bits of every kind.
STRIDE = 257
SAMPLE = 2**24

ALLOWED = float.fromhex("0x1.6ap-46")  # kDoubleError in mish_math.h
SEED_ERROR = "0x1p-17"  # kSeedError

Sweep = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: significand bits and exponent of the least normal number."""

    digits: int
    least_exponent: int
    dtype: npt.DTypeLike


FORMATS = {
    "fp32": Format(24, -126, np.float32),
    "fp16": Format(11, -14, np.float16),
    "bf16": Format(8, -126, ml_dtypes.bfloat16),
}


def build(compile_source: Compile, sources: Path, program: Path, *options: str) -> Path:
    """Compile sweep.cc as its header says, with every warning an error."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not on PATH")
    if platform.machine() != "x86_64":
        pytest.skip("the sweep's oracle needs libquadmath's 113 bits, built here for x86-64 only")
    compile_source(
        [
            compiler,
            *("-std=c++17", "-O2", "-mfma", "-ffp-contract=off"),
            *("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"),
            *options,
            sources / "sweep.cc",
            *("-o", program, "-lquadmath", "-pthread"),
        ]
    )
    return program


def run(program: Path, *arguments: object) -> dict[str, Any]:
    """The JSON object that the sweep prints; its exit status must agree with it."""
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    tally: dict[str, Any] = json.loads(done.stdout)
    assert (tally["misrounded"] == 0) == (done.returncode == 0)
    return tally


@pytest.fixture(scope="module")
def program(
    compile_source: Compile, plugin_sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The sweep, compiled once."""
    return build(compile_source, plugin_sources, tmp_path_factory.mktemp("sweep") / "sweep")


@pytest.fixture(scope="module")
def sweep(program: Path) -> Sweep:
    """A function that runs the sweep with the given command-line arguments."""
    return lambda *arguments: run(program, *arguments)


def mish(x: float) -> mpmath.mpf:
    """mish(x) = x n/(n+2), n = e^x (e^x + 2), to 40 digits, for a finite x."""
    with mpmath.workdps(40):
        t = mpmath.exp(x)
        n = t * (t + 2)
        return mpmath.mpf(x) * (n / (n + 2))


def round_once(y: mpmath.mpf, form: Format) -> float:
    """The number of the format nearest to y, ties to even; y is never a tie nor zero."""
    exponent = max(mpmath.frexp(y)[1] - 1, form.least_exponent)
    step = mpmath.ldexp(1, exponent - form.digits + 1)
    with mpmath.workdps(40):
        return float(mpmath.nint(y / step) * step)


def same(a: float, b: float) -> bool:
    """Equal with the sign of zero, or both NaN."""
    return (math.isnan(a) and math.isnan(b)) or (
        a == b and math.copysign(1.0, a) == math.copysign(1.0, b)
    )


def expected(x: float, form: Format) -> float:
    """The correctly rounded mish(x), by mpmath."""
    if math.isnan(x) or x == 0 or x == math.inf:
        return x
    if x < -200:  # below half of every format's least number
        return -0.0
    return round_once(mish(x), form) or -0.0 if x < 0 else round_once(mish(x), form)


def check_against_mpmath(cases: list[list[str]]) -> None:
    """Demand of each fp32 case [input bits, result, the oracle's result] what mpmath says."""
    for bits, got, _ in cases:
        x = float(np.uint32(int(bits, 16)).view(np.float32))
        want = expected(x, FORMATS["fp32"])
        assert same(float.fromhex(got), want), f"mish({x.hex()}) = {want.hex()}, not {got}"


@pytest.mark.parametrize("route", ["fp16", "bf16"])
def test_every_16_bit_input(route: str, sweep: Sweep, tmp_path: Path) -> None:
    dump = tmp_path / "results"
    tally = sweep("--route", route, "--dump", dump)
    assert tally["inputs"] == 65536
    assert tally["misrounded"] == 0, tally["wrong"]
    results = np.fromfile(dump, dtype=np.float64)
    patterns = np.arange(65536, dtype=np.uint16).view(FORMATS[route].dtype)
    with np.errstate(invalid="ignore"):  # widening a signaling NaN is an invalid operation
        inputs = patterns.astype(np.float64)
    assert results.shape == inputs.shape
    wrong = [
        f"mish({x.hex()}) = {want.hex()}, not {got.hex()}"
        for x, got in zip(inputs.tolist(), results.tolist(), strict=True)
        if not same(got, want := expected(x, FORMATS[route]))
    ]
    assert wrong == []


@pytest.mark.parametrize("route", ["float64", "few_float64"])
def test_fp32_sample(route: str, sweep: Sweep) -> None:
    tally = sweep("--route", route, "--stride", STRIDE, "--first", 5, "--count", SAMPLE)
    assert tally["inputs"] == SAMPLE
    assert tally["misrounded"] == 0, tally["wrong"][:5]
    assert tally["worst_ulp"] <= 0.5
    # What the header allows for; beyond it a result may be returned that is not sure.
    allowed = {"float64": ALLOWED, "few_float64": 2.0**-37}
    assert 0.0 < float.fromhex(tally["first_level_error"]) < allowed[route]
    check_against_mpmath(tally["close"])


# (first bits, count, what is there): the bands in which one exponent's sample is not enough.
BANDS = [
    (0x00000000, 2**14, "zero and the smallest subnormal inputs"),
    (0x007FE000, 2**14, "the smallest normal inputs"),
    (0x00D52000, 2**14, "the smallest normal results"),
    (0x41100000, 2**17, "the first inputs that are their own results"),
    (0x417FE000, 2**14, "16, beyond which the input is returned"),
    (0x7F7FE000, 2**14, "the largest finite inputs, infinity, NaN"),
    (0x80000000, 2**14, "negative zero and the smallest subnormal inputs"),
    (0xC26FE000, 2**14, "-60, where pairs of floats end"),
    (0xC2B7A000, 2**16, "-91.857, below which results are subnormal"),
    (0xC2D94000, 2**16, "-108.661, below which results are -0"),
    (0xC2EFE000, 2**14, "-120, where arguments are clamped"),
    (0xFF7FE000, 2**14, "the most negative finite inputs, -infinity, NaN"),
]


@pytest.mark.parametrize("route", ["float64", "few_float64"])
@pytest.mark.parametrize(("first", "count", "what"), BANDS, ids=lambda v: str(v)[:12])
def test_fp32_band(route: str, first: int, count: int, what: str, sweep: Sweep) -> None:
    tally = sweep("--route", route, "--first", first, "--count", count)
    assert tally["inputs"] == count
    assert tally["misrounded"] == 0, (what, tally["wrong"][:5])
    check_against_mpmath(tally["close"])


@pytest.mark.parametrize("route", ["float64", "few_float64"])
def test_hardest_fp32_inputs(route: str, sweep: Sweep) -> None:
    """The inputs whose results were found nearest to a boundary in the sweep of all 2^32."""
    for bits in HARDEST:
        tally = sweep("--route", route, "--first", bits, "--count", 1)
        assert tally["misrounded"] == 0
        assert len(tally["close"]) == 1, "double should not be able to decide this input"
        assert tally["beyond_double"] == 1, "pairs of doubles should have been needed"
        check_against_mpmath(tally["close"])


HARDEST = [
    0x33A00000,
    0x34366D96,
    0x370A2162,
    0x3718B57B,
    0x3A1BBC89,
    0x3A3EE4FD,
    0x3B64C4D0,
    0x3F193F7F,
    0x3F45E0EA,
    0x3F88C081,
    0x4099733A,
    0x40F440DE,
    0xB24A62C1,
    0xB28F1BBC,
    0xB3A00000,
    0xB4C0AA5F,
    0xB5C997F9,
    0xB635FD2F,
    0xB842238F,
    0xB9960731,
    0xBC311940,
    0xBD91757E,
    0xC0B950B4,
    0xC0C19586,
]


def test_bits_of_special_values(sweep: Sweep) -> None:
    for route in ("float64", "few_float64"):
        for bits, count in ((0x7F800000, 1), (0xFF800000, 1), (0x7F800001, 1), (0x7FC00000, 1)):
            assert sweep("--route", route, "--first", bits, "--count", count)["misrounded"] == 0


@pytest.mark.parametrize("route", ["float64", "few_float64"])
def test_a_missing_guard_is_seen(
    route: str, compile_source: Compile, plugin_sources: Path, tmp_path: Path
) -> None:
    """Without Ziv's test the first level's own rounding is returned: the sweep must notice."""
    program = build(compile_source, plugin_sources, tmp_path / "mutant", "-DMISH_MUTANT_NO_GUARD")
    for bits in HARDEST:
        tally = run(program, "--route", route, "--first", bits, "--count", 1)
        if tally["misrounded"] == 1:
            (wrong,) = tally["wrong"]
            x = float(np.uint32(bits).view(np.float32))
            assert not same(float.fromhex(wrong[1]), expected(x, FORMATS["fp32"]))
            return
    pytest.fail("no input of HARDEST is misrounded without the guard")


@pytest.mark.parametrize("sign", ["", "-"])
def test_any_seed_gives_the_same_results(
    sign: str, sweep: Sweep, compile_source: Compile, plugin_sources: Path, tmp_path: Path
) -> None:
    """A GPU's reciprocal is another one than the host's: only its bound may matter."""
    text = (plugin_sources / "mish_math.h").read_text()
    assert f"kSeedError = {SEED_ERROR};" in text
    option = f"-DMISH_SEED_ERROR={sign}{SEED_ERROR}"
    moved = build(compile_source, plugin_sources, tmp_path / "moved", option)
    sample = ("--route", "float64", "--stride", STRIDE, "--first", 5, "--count", SAMPLE)
    tally, usual = run(moved, *sample), sweep(*sample)
    assert tally["misrounded"] == 0, tally["wrong"][:5]
    assert tally["checksum"] == usual["checksum"]
    assert float.fromhex(tally["first_level_error"]) < ALLOWED
    assert tally["first_level_error"] != usual["first_level_error"], "the seed was not moved"
    for bits in HARDEST:
        assert run(moved, "--first", bits, "--count", 1)["misrounded"] == 0


def test_a_seed_beyond_its_bound_is_seen(
    compile_source: Compile, plugin_sources: Path, tmp_path: Path
) -> None:
    """What the bound is for: the guard does not cover any seed whatever."""
    program = build(
        compile_source, plugin_sources, tmp_path / "mutant", "-DMISH_SEED_ERROR=0x1p-12"
    )
    tally = run(program, "--route", "float64", "--stride", STRIDE, "--first", 5, "--count", SAMPLE)
    assert tally["misrounded"] > 0
    assert float.fromhex(tally["first_level_error"]) > ALLOWED


@pytest.mark.parametrize("route", ["fp16", "bf16"])
def test_a_changed_constant_is_seen(
    route: str, compile_source: Compile, plugin_sources: Path, tmp_path: Path
) -> None:
    """log2(e) to one digit less: every route's check must be able to fail."""
    for name in ("sweep.cc", "mish_math.h"):
        text = (plugin_sources / name).read_text()
        if name == "mish_math.h":
            assert text.count("kLog2E = 0x1.715476p+0F") == 1
            text = text.replace("kLog2E = 0x1.715476p+0F", "kLog2E = 0x1.7154p+0F")
        (tmp_path / name).write_text(text)
    program = build(compile_source, tmp_path, tmp_path / "mutant")
    assert run(program, "--route", route)["misrounded"] > 0


@pytest.mark.parametrize(
    "arguments", [["--route", "fp8"], ["--count"], ["--stride", "0"], ["--first", "x"]]
)
def test_bad_usage_exits_2(arguments: list[str], program: Path) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: sweep")


def test_contraction_is_refused(
    compile_source: Compile, plugin_sources: Path, tmp_path: Path
) -> None:
    program = build(compile_source, plugin_sources, tmp_path / "sweep", "-ffp-contract=fast")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "-ffp-contract=off" in done.stderr
