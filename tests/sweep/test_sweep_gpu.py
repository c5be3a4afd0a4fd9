"""Sweeps of TensorRT on a GPU: exact, found to the one wrong input, and within little memory."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verify.cases import parse
from verify.engines.tensorrt import Tensorrt
from verify.gate import Target, order_of, register
from verify.oracle import mish
from verify.precision import BF16, FP16, FP32, Precision
from verify.run import model_of
from verify.sample_observation import no_limits
from verify.sweep import device as devices
from verify.sweep.device import Device
from verify.sweep.run import sweep
from verify.sweep.segment import uncertainty
from verify.sweep.span import Span, whole
from verify.sweep.tally import Tally, merge
from verify.tolerances import Limits, load

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[2]
COMPOSED = "composed-alone-fp32-tensorrt"
PLUGIN = "plugin-alone-fp32-tensorrt"
WRONG = 0x3F9E0652  # one_wrong_kernel.cu

Native = Callable[[str, str, str], Path]


@pytest.fixture(scope="module")
def release() -> str:
    status = Tensorrt().status()
    if not status.executes:
        pytest.skip(status.reason)
    return {8: "8.6", 10: "10.16", 11: "11.1"}[int(status.version.split(".")[0])]


@pytest.fixture(scope="module")
def runner(release: str) -> Iterator[Tensorrt]:
    runner = Tensorrt()
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def exact(native_plugin: Native, release: str) -> Path:
    return native_plugin("libmish_exact", str(ROOT / "plugin" / "mish_kernel.cu"), release)


@pytest.fixture(scope="module")
def one_wrong(native_plugin: Native, release: str) -> Path:
    kernel = str(Path(__file__).with_name("one_wrong_kernel.cu"))
    return native_plugin("libmish_one_wrong", kernel, release)


def _swept(
    runner: Tensorrt, case_id: str, spans: Sequence[Span], limits: Limits, *, trusted: bool = True
) -> list[dict[str, Any]]:
    """Everything a record says of each span but for times and the plan."""
    case = parse(case_id)
    device = Device(runner, case, model_of(case), limits, trusted=trusted)
    return _swept_by(device, runner, case_id, spans, limits)


def _swept_by(
    device: Device, runner: Tensorrt, case_id: str, spans: Sequence[Span], limits: Limits
) -> list[dict[str, Any]]:
    case, found = parse(case_id), []
    for span in spans:
        record, ended = sweep(device, runner, case, model_of(case), limits, span)
        assert ended is None
        found.append(record.model_dump(mode="json", exclude={"timing", "plan"}))
    device.close()
    return found


@pytest.mark.parametrize("limit", [np.inf, 1.0], ids=["unlimited", "1 ULP"])
@pytest.mark.parametrize("precision", [FP16, FP32], ids=lambda p: str(p.name))
def test_a_gpu_tallies_as_the_host_does(
    runner: Tensorrt, precision: Precision, limit: float
) -> None:
    case_id = f"composed-alone-{precision.name}-tensorrt"
    none = no_limits("alone")
    limits = replace(none, ulp=dict.fromkeys(none.ulp, limit))
    spans = [whole(precision)]
    if precision is FP32:  # the bulk, the negative tail, -inf and NaN
        spans = [Span(FP32, first, first + 2) for first in (255, 259, 770, 779, 1021)]
    found = _swept(runner, case_id, spans, limits)
    assert found == _swept(runner, case_id, spans, limits, trusted=False)


@pytest.mark.parametrize("form", ["composed", "rational"])
def test_a_gpu_accepts_what_the_host_accepts(runner: Tensorrt, form: str) -> None:
    case_id = f"{form}-alone-fp32-tensorrt"
    limits = load().limits(parse(case_id), runner.status().version)
    assert limits.deviations
    # Near the smallest normal number of either sign, 44 to 120, and the tails of x * e**x.
    units = [(3, 4), (515, 516), (264, 267), (773, 780)]
    spans = [Span(FP32, first, end) for first, end in units]
    found = _swept(runner, case_id, spans, limits)
    assert found == _swept(runner, case_id, spans, limits, trusted=False)
    assert any(one["tally"]["deviations"] for one in found)


def test_shards_on_a_gpu_are_the_whole(runner: Tensorrt) -> None:
    limits = no_limits("alone")
    spans = [Span(FP32, 0, 700), Span(FP32, 0, 341), Span(FP32, 341, 700)]
    whole_one, *parts = _swept(runner, COMPOSED, spans, limits)
    assert parts[0]["digests"] + parts[1]["digests"] == whole_one["digests"]
    tallies = [Tally.model_validate(part["tally"]) for part in parts]
    assert merge(tallies).model_dump(mode="json") == whole_one["tally"]


def test_shards_of_other_processes_share_a_plan(tmp_path: Path, release: str) -> None:
    def verify(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "verify", *words]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)

    shards, plans = [str(tmp_path / f"{i}.json") for i in (1, 2)], tmp_path / "plans"
    words = ("sweep", "--case", COMPOSED, "--plans", str(plans))
    for i, shard in enumerate(shards, 1):
        done = verify(*words, "--shard", f"{i}/2", "--out", shard)
        assert done.returncode == 0, done.stdout + done.stderr
    merged = verify("merge", *shards, "--out", str(tmp_path / "merged.json"))
    assert merged.returncode == 0, merged.stdout + merged.stderr
    (plan,) = plans.glob("*.plan")
    plan.write_bytes(b"no plan")
    done = verify(*words, "--shard", "1/2", "--out", shards[0])
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"error: {plan}: no plan that TensorRT")


@pytest.mark.parametrize("precision", [FP32, FP16, BF16], ids=lambda p: str(p.name))
def test_the_gpus_oracle_is_the_hosts(runner: Tensorrt, precision: Precision) -> None:
    if precision.name not in runner.strategy.precisions:
        pytest.skip(f"{runner.strategy.label} has no {precision.name}")
    case = parse(f"composed-alone-{precision.name}-tensorrt")
    device = Device(runner, case, model_of(case), no_limits("alone"))
    # 2**24 fp32 inputs: 2**18 from each of 64 places between the band edges.
    pieces = [(0, 1 << 16)]
    if precision is FP32:
        pieces = [(start, 1 << 18) for start in range(0x30000000, 0x41A00000, 0x12000000 // 32)]
        pieces += [(start, 1 << 18) for start in range(0xB0000000, 0xC42F0000, 0x142F0000 // 32)]
    bound = uncertainty(precision, 0)
    checked = 0
    for first, count in pieces:
        bits = np.arange(first, first + count, dtype=np.int64)
        x = precision.widen(precision.from_bits(bits))
        ours, theirs = mish(x), device.oracle(first, count)
        # What the kernel asks of it: not beyond 20, nor what underflows.
        some = (x < 20) & (x > -700) & (x != 0)
        assert (np.signbit(theirs[some]) == np.signbit(x[some])).all()
        apart = np.abs(theirs[some] - ours[some]) / np.abs(ours[some])
        assert apart.max(initial=0.0) * 2.0**precision.significand_bits < bound / 2
        checked += int(some.sum())
    assert checked > (1 << 23 if precision is FP32 else 1 << 14)
    device.close()


def test_out_of_memory_means_smaller_chunks(runner: Tensorrt) -> None:
    span, limits = Span(FP32, 255, 257), no_limits("alone")
    small = _swept(runner, COMPOSED, [span], limits)
    runner.close()  # what its process holds would be held from the GPU too
    words = [sys.executable, "-c", _HOLD, str(3 << 30)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            case = parse(COMPOSED)
            device = Device(runner, case, model_of(case), limits)
            assert device.round < devices.sizes(FP32)[0][1]
            assert _swept_by(device, runner, COMPOSED, [span], limits) == small
        finally:
            other.communicate("")


# Holds all of the GPU's memory but the bytes given, until its input ends.
_HOLD = """
import sys
from cuda.bindings import driver
from cuda.core import Device

Device(0).set_current()
_, free, _ = driver.cuMemGetInfo()
code, _ = driver.cuMemAlloc(free - int(sys.argv[1]))
print("held" if code == driver.CUresult.CUDA_SUCCESS else code, flush=True)
sys.stdin.read()
"""


def test_every_fp32_input_of_the_reference_plugin(exact: Path, release: str) -> None:
    target = register(order_of(exact, "", "", None, (), ()))
    tally = _plugin(target)["tally"]
    assert tally["inputs"] == 1 << 32
    assert tally["breaches"] == []
    # Correctly rounded, as far as float64 can tell.
    assert max(b["worst"]["error_ulp"] for b in tally["bands"]) <= 0.5 + uncertainty(FP32, 0)
    assert all(band["nan"] == band["inf"] == band["sign"] == 0 for band in tally["bands"])


def _plugin(target: Target) -> dict[str, Any]:
    runner, case = Tensorrt(target.plugin), parse(PLUGIN)
    model, limits = model_of(case, target.node), load().limits(case)
    device = Device(runner, case, model, limits)
    record, ended = sweep(device, runner, case, model, limits, whole(FP32))
    assert ended is None
    runner.close()
    assert record.exhaustive
    assert record.plugin is not None
    return record.model_dump(mode="json")


def test_one_wrong_input_of_all_is_found_reported_and_replayed(
    one_wrong: Path, cli: Callable[..., Any]
) -> None:
    done = cli("sweep", "--plugin", one_wrong, "--precision", "fp32", "--out", "one.json")
    assert done.code == 1, done.out + done.err
    assert "1 beyond their limit" in done.out
    assert f"0x{WRONG:08x}" in done.out
    assert "NOT REPRODUCED" not in done.out
    line = re.search(r"^  replay    (cd .*)$", done.out, re.MULTILINE)
    assert line, done.out
    again = subprocess.run(["sh", "-c", line[1]], capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stdout + again.stderr
    assert f"0x{WRONG:08x}" in again.stdout
