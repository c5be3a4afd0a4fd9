"""The device's arithmetic and what the host makes of it, with the kernel compiled for the host."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from verify.bands import BANDS, classify
from verify.cases import Case, parse
from verify.engines import EngineFailure
from verify.judge import judge, results_of
from verify.oracle import expected, mish
from verify.precision import BF16, FP16, FP32, PRECISIONS, Array, Precision
from verify.sweep import tally as tallies
from verify.sweep.checksum import LEAF, unit_digest, weights
from verify.sweep.segment import Segment, segments, uncertainty
from verify.sweep.settlement import (
    BUCKET_ROW,
    DOUBT,
    DOUBTS,
    Answer,
    Settlement,
    filled,
    oracle_fault,
    settle,
    table,
)
from verify.sweep.source import SOURCE, macros, poison
from verify.sweep.span import Span, inputs, unit_size, whole
from verify.sweep.tally import Tally
from verify.tolerances import RESULTS, Deviation, Limits, load
from verify.ulp import error_ulp

Right = Callable[[Array, Precision], Array]


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Precision], ctypes.CDLL]:
    """kernels(precision): comparison.cu as a library of the host."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("comparison")

    @cache
    def build(precision: Precision) -> ctypes.CDLL:
        library = folder / f"{precision.name}.so"
        command = [compiler, "-x", "c++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]
        command += ["-ffp-contract=off", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        command += [f"-D{name}={value}" for name, value in macros(precision).items()]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(library))

    return build


@dataclass(frozen=True)
class Device:
    """What stands for a GPU: the same source, one tile after the other."""

    library: ctypes.CDLL
    limits: Limits
    case: Case

    def answer(
        self, span: Span, y: Array, parted: tuple[Segment, ...] | None = None, room: int = DOUBTS
    ) -> Answer:
        """The kernel's answer for the outputs ``y`` of all inputs of a span.

        ``room``: for how many doubts of a tile there is room, on average.
        """
        precision = self.case.precision
        bits = precision.to_bits(y).astype(np.uint32)
        tiles = len(y) // LEAF
        parted = segments(precision, self.limits) if parted is None else parted
        rows = table(parted, precision)
        sums = np.zeros(tiles, dtype=np.uint64)
        errors = np.full(tiles, np.nan)
        counts = np.zeros((len(rows), BUCKET_ROW), dtype=np.uint64)
        doubts = np.zeros(room * tiles, dtype=DOUBT)
        number = np.zeros(2, dtype=np.uint32)
        first = span.first * unit_size(precision) // LEAF

        def pointer(array: Array) -> ctypes.c_void_p:
            return ctypes.c_void_p(array.ctypes.data)

        self.library.compare(
            pointer(bits), ctypes.c_uint32(first), ctypes.c_uint32(tiles), pointer(rows),
            ctypes.c_uint32(len(rows)), pointer(weights()), pointer(sums), pointer(errors),
            pointer(counts), pointer(doubts), ctypes.c_uint32(len(doubts)), pointer(number),
        )  # fmt: skip
        found = doubts[: filled(len(doubts), *number.tolist())]
        rows_of_y = bits.reshape(-1, LEAF)

        def pick(wanted: Array) -> Array:
            picked = np.zeros(LEAF * len(wanted), dtype=DOUBT)
            count = ctypes.c_uint32()
            self.library.pick(
                pointer(bits), ctypes.c_uint32(first), pointer(rows), pointer(wanted),
                ctypes.c_uint32(len(wanted)), pointer(picked), ctypes.byref(count),
            )  # fmt: skip
            return picked[: count.value]

        return Answer(span, sums, errors, counts, found, lambda some: rows_of_y[some], pick)

    def settle(self, span: Span, y: Array) -> tuple[Tally, tuple[str, ...]]:
        """The same with the host's part."""
        found = self.settlement(span, y)
        return found.tally, found.digests

    def settlement(self, span: Span, y: Array, room: int = DOUBTS) -> Settlement:
        """The same, with what the host did."""
        made = segments(self.case.precision, self.limits)
        return settle(self.answer(span, y, room=room), self.case, made, self.limits)


def host(case: Case, limits: Limits, span: Span, y: Array) -> tuple[Tally, tuple[str, ...]]:
    """What the host alone finds in the same outputs."""
    precision, size = case.precision, unit_size(case.precision)
    found, digests = [], []
    for index, unit in enumerate(range(span.first, span.end)):
        x = inputs(span, unit)
        outputs = {"y": y[index * size : (index + 1) * size]}
        views = expected("alone", x, precision)
        judged = judge(views, outputs, x, precision, limits, whole_sample=False, few=tallies.FEW)
        found.append(tallies.of(judged))
        digests.append(unit_digest(outputs, precision))
    return tallies.merge(found), tuple(digests)


def plain(found: tuple[Tally, tuple[str, ...]]) -> object:
    """To compare: NaN is equal to itself there."""
    return found[0].model_dump(mode="json"), found[1]


@pytest.fixture
def device(kernels: Callable[[Precision], ctypes.CDLL]) -> Callable[..., Device]:
    """device(case id, deviation, ...): the plugin's own limits but for what is given."""

    def make(case_id: str, *deviations: Deviation, **changes: float) -> Device:
        case = parse(case_id)
        limits = load().limits(case)
        ulp = {**limits.ulp, **{(k, r): v for k, v in changes.items() for r in ("regular",)}}
        limits = replace(limits, ulp=ulp, deviations=deviations)
        return Device(kernels(case.precision), limits, case)

    return make


def contract(precision: Precision) -> str:
    return f"plugin-alone-{precision.name}-tensorrt"


def right(x: Array, precision: Precision) -> Array:
    return precision.round(mish(precision.widen(x)))


def off(ulps: int) -> Right:
    """Every finite result that many numbers further from zero."""

    def wrong(x: Array, precision: Precision) -> Array:
        y = precision.to_bits(right(x, precision)).copy()
        finite = np.isfinite(precision.widen(right(x, precision)))
        y[finite] += precision.bits_dtype.type(ulps)
        y[y == poison(precision)] += precision.bits_dtype.type(1)
        return precision.from_bits(y)

    return wrong


def all_of(value: float) -> Right:
    def wrong(x: Array, precision: Precision) -> Array:
        return np.full(len(x), precision.round(np.array([value]))[0])

    return wrong


def unsigned(x: Array, precision: Precision) -> Array:
    sign = precision.bits_dtype.type(1 << (precision.total_bits - 1))
    return precision.from_bits(precision.to_bits(right(x, precision)) & ~sign)


def flushed(x: Array, precision: Precision) -> Array:
    """Subnormal results are zero, of their sign."""
    y = right(x, precision)
    small = np.abs(precision.widen(y)) < precision.smallest_normal
    return np.where(small, np.copysign(np.zeros(1), precision.widen(x)), precision.widen(y)).astype(
        precision.dtype
    )


def published(x: Array, precision: Precision) -> Array:
    """x * tanh(log(1 + exp(x))) in fp32, whatever comes of it, and NaN from 88.7 on."""
    with np.errstate(all="ignore"):
        narrow = precision.widen(x).astype(np.float32)
        t = np.exp(narrow)
        n = t * (t + np.float32(2))
        return precision.round((narrow * (n / (n + np.float32(2)))).astype(np.float64))


def noisy(x: Array, precision: Precision) -> Array:
    """A few results anywhere are any bits at all."""
    y = precision.to_bits(right(x, precision)).copy()
    rng = np.random.default_rng(len(x))
    some = rng.integers(0, len(x), 97)
    y[some] = rng.integers(0, 1 << precision.total_bits, 97).astype(y.dtype)
    y[y == poison(precision)] = 0
    return precision.from_bits(y)


WRONG: dict[str, Right] = {
    "right": right,
    "1 up": off(1),
    "3 up": off(3),
    "300 up": off(300),
    "NaN": all_of(np.nan),
    "inf": all_of(np.inf),
    "0": all_of(0.0),
    "no sign": unsigned,
    "flushed": flushed,
    "published": published,
    "noisy": noisy,
}

# A deviation of every kind, over some of the bands, or over all.
ULP_TAIL = Deviation("deviation 1", ("*",), (-100.0, -3.9), "ulp", 64.0, 9, 9, "some")
ULP_ALL = Deviation("deviation 1", ("*",), (-np.inf, np.inf), "ulp", 2.0, 9, 9, "some")
NANS = Deviation("deviation 2", ("*",), (44.0, np.inf), "nan", np.inf, 9, 9, "some")
SIGNS = Deviation("deviation 3", ("*",), (-5.0, 0.0), "sign", 1e9, 9, 9, "some")


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "deviations", [(), (ULP_TAIL, NANS, SIGNS), (ULP_ALL,)], ids=["none", "three", "everywhere"]
)
@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: str(p.name))
def test_all_16_bit_inputs_are_tallied_as_on_the_host(
    device: Callable[..., Device],
    precision: Precision,
    deviations: tuple[Deviation, ...],
    wrong: str,
) -> None:
    gpu = device(contract(precision), *deviations)
    span = whole(precision)
    y = WRONG[wrong](precision.all_values(), precision)
    assert plain(gpu.settle(span, y)) == plain(host(gpu.case, gpu.limits, span, y))


def test_elements_that_were_not_written_are_no_results(device: Callable[..., Device]) -> None:
    gpu, span = device(contract(FP32)), Span(FP32, 256, 257)
    y = right(inputs(span, 256), FP32)
    bits = FP32.to_bits(y).copy()
    bits[[4097, 4099]] = poison(FP32)
    with pytest.raises(EngineFailure, match=r"2 or more elements .* not written.* 0x40001001"):
        gpu.settle(span, FP32.from_bits(bits))
    # A NaN that was copied from the input is a result.
    span = Span(FP32, 510, 511)
    assert poison(FP32) in FP32.to_bits(inputs(span, 510))
    copied = inputs(span, 510)
    assert plain(gpu.settle(span, copied)) == plain(host(gpu.case, gpu.limits, span, copied))


def test_one_wrong_input_among_millions_is_the_one_breach(device: Callable[..., Device]) -> None:
    gpu, span = device(contract(FP32)), Span(FP32, 253, 257)
    y = np.concatenate([right(inputs(span, unit), FP32) for unit in range(span.first, span.end)])
    bits = FP32.to_bits(y).copy()
    bits[12_345_678] += np.uint32(2)
    answer = gpu.answer(span, FP32.from_bits(bits))
    assert np.flatnonzero(answer.errors < 0).tolist() == sorted(
        {*_mixed(gpu, span), 12_345_678 // LEAF}
    )
    tally, _ = gpu.settle(span, FP32.from_bits(bits))
    (breach,) = tally.breaches
    assert breach.count == 1
    assert int(breach.first[0].x_bits, 16) == 253 * (1 << 22) + 12_345_678
    assert 1.5 <= breach.worst[0].error_ulp <= 2.5


def _mixed(gpu: Device, span: Span) -> list[int]:
    """The tiles that lie in several segments, from the span's first on."""
    first = span.first * unit_size(FP32) // LEAF
    edges = [s.first for s in segments(FP32, gpu.limits) if s.first % LEAF]
    return [e // LEAF - first for e in edges if 0 <= e // LEAF - first < span.inputs // LEAF]


def test_what_the_host_does_is_little(device: Callable[..., Device]) -> None:
    gpu = device(contract(FP32))
    for unit in (249, 256, 770):
        span = Span(FP32, unit, unit + 1)
        answer = gpu.answer(span, right(inputs(span, unit), FP32))
        assert np.count_nonzero(answer.errors < 0) <= 4
        assert len(answer.doubts) < span.inputs / 50_000


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_every_bit_pattern_is_in_the_segment_that_the_host_puts_it_in(precision: Precision) -> None:
    limits = replace(load().limits(parse(contract(precision))), deviations=(ULP_TAIL, NANS))
    found = segments(precision, limits)
    assert [s.first for s in found[1:]] == [s.end for s in found[:-1]]
    assert (found[0].first, found[-1].end) == (0, 1 << precision.total_bits)
    edges = {s.first + d for s in found for d in range(-40, 41)}
    some = np.arange(1 << 16) << (precision.total_bits - 16)
    bits = np.array(sorted({*some.tolist(), *(e for e in edges if 0 <= e < found[-1].end)}))
    x = precision.from_bits(bits)
    wide = precision.widen(x)
    y = mish(wide)
    index = np.searchsorted([s.first for s in found], bits, side="right") - 1
    bands = [BANDS[i] for i in classify(wide, precision)]
    results = [RESULTS[i] for i in results_of(y, precision)]
    assert [found[i].band for i in index] == bands
    assert [found[i].result for i in index] == results
    within = [bool(ULP_TAIL.x[0] <= one <= ULP_TAIL.x[1]) for one in wide]
    assert [bool(found[i].deviation) for i in index] == within
    kinds = np.array([found[i].kind for i in index])
    with np.errstate(invalid="ignore"):
        certain = {
            1: wide * (0.6 + 0.32 * wide),
            2: wide,
            3: np.full(len(wide), -0.0),
            4: np.full(len(wide), np.nan),
        }
    for kind, value in certain.items():
        some = kinds == kind
        assert some.any()
        np.testing.assert_array_equal(y[some], value[some])
        assert (np.signbit(y[some]) == np.signbit(value[some]))[~np.isnan(y[some])].all()


# Where Mish's own bands end and turn, and where a rounding of the range reduction changes.
HARD = (-700.0, -104.0, -91.86, -20.3, -12.2, -4.0, -1.1924312, -0.25, -1e-8, 1e-8, 0.25, 4.5, 9.0)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_the_devices_oracle_is_within_its_bound(
    kernels: Callable[[Precision], ctypes.CDLL], precision: Precision
) -> None:
    import mpmath

    library, bound = kernels(precision), uncertainty(precision, 0)
    with mpmath.workdps(50):
        for edge in (*HARD, *(k * float(np.log(2)) / 2 for k in range(-300, 57, 7))):
            first = int(precision.to_bits(precision.round(np.array([edge])))[0])
            got = _oracle(library, first, 24)
            x = precision.widen(precision.from_bits(np.arange(first, first + 24)))
            for one, value in zip(x, got, strict=True):
                true = mpmath.mpf(one) * mpmath.tanh(mpmath.log1p(mpmath.exp(mpmath.mpf(one))))
                if -700 <= one < 20 and one != 0:
                    off = abs((mpmath.mpf(float(value)) - true) / true)
                    # A quarter of the bound is this oracle's share; the host's has as much.
                    assert off * 2.0**precision.significand_bits <= bound / 4


def _oracle(library: ctypes.CDLL, first: int, count: int, stride: int = 1) -> Array:
    result = np.empty(count)
    library.oracle(
        ctypes.c_void_p(result.ctypes.data), ctypes.c_uint32(first), ctypes.c_uint32(count),
        ctypes.c_uint32(stride),
    )  # fmt: skip
    return result


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_the_devices_oracle_is_the_hosts(
    kernels: Callable[[Precision], ctypes.CDLL], precision: Precision
) -> None:
    library, bound = kernels(precision), uncertainty(precision, 0)
    pieces = [(0, 1 << 16)]
    if precision is FP32:  # 2**24 inputs between 2**-31 and 20, and down to -700
        pieces = [(first, 1 << 17) for first in range(0x30000000, 0x41A00000, 0x11A00000 // 64)]
        pieces += [(first, 1 << 17) for first in range(0xB0000000, 0xC42F0000, 0x142F0000 // 64)]
    for first, count in pieces:
        x = precision.widen(precision.from_bits(np.arange(first, first + count)))
        some = (x < 20) & (x >= -700) & (x != 0)
        ours, theirs = mish(x)[some], _oracle(library, first, count)[some]
        off = np.abs(theirs - ours) / np.abs(ours)
        assert (np.signbit(theirs) == np.signbit(ours)).all()
        assert off.max(initial=0.0) * 2.0**precision.significand_bits <= bound / 2


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_a_device_whose_oracle_is_wrong_is_not_trusted(
    kernels: Callable[[Precision], ctypes.CDLL], precision: Precision
) -> None:
    stride = 1 << (precision.total_bits - 16)
    bits = np.arange(1 << 16, dtype=np.int64) * stride
    right = _oracle(kernels(precision), 0, 1 << 16, stride)
    assert oracle_fault(bits, right, precision) == ""
    at = int(np.flatnonzero(precision.widen(precision.from_bits(bits)) == -1.5)[0])
    off = 1 + uncertainty(precision, 0) * 2.0**-precision.significand_bits
    for wrong in (off, 1 / off, -1.0, np.nan):
        changed = right.copy()
        changed[at] *= wrong
        assert "Mish of -1.5 is" in oracle_fault(bits, changed, precision)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: str(p.name))
def test_nvrtc_compiles_the_kernels(precision: Precision) -> None:
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    try:
        _, program = nvrtc.nvrtcCreateProgram(SOURCE.read_bytes(), SOURCE.name.encode(), 0, [], [])
    except (RuntimeError, OSError) as error:  # the bindings without the library
        pytest.skip(str(error))
    options = ["--std=c++17", "--gpu-architecture=sm_90", "--fmad=false", "-Werror=all-warnings"]
    options += [f"-D{name}={value}" for name, value in macros(precision).items()]
    (code,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    assert code == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode()
    assert log.strip(b" \0\n") == b""


def test_what_is_in_no_segment_is_judged_by_the_host(device: Callable[..., Device]) -> None:
    gpu, span = device(contract(FP16)), whole(FP16)
    y = WRONG["noisy"](FP16.all_values(), FP16)
    found = settle(gpu.answer(span, y, parted=()), gpu.case, (), gpu.limits)
    assert found.settled["mixed"] == span.inputs
    assert plain((found.tally, found.digests)) == plain(host(gpu.case, gpu.limits, span, y))


# Units of fp32 with the edges of every band, 2**22 inputs each.
UNITS = {
    "zero": 0, "subnormal results": 3, "origin": 249, "bulk": 256, "identity": 260, "large": 265,
    "nan": 510, "minus zero": 512, "subnormal origin": 515, "well": 766, "negative tail": 770,
    "subnormal tail": 779, "flush tail": 785, "minus inf": 1022,
}  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_right_fp32_results_are_tallied_as_on_the_host(
    device: Callable[..., Device], unit: str
) -> None:
    gpu = device(contract(FP32))
    span = Span(FP32, UNITS[unit], UNITS[unit] + 1)
    y = right(inputs(span, span.first), FP32)
    assert plain(gpu.settle(span, y)) == plain(host(gpu.case, gpu.limits, span, y))


@pytest.mark.parametrize("wrong", [name for name in WRONG if name != "right"])
@pytest.mark.parametrize("unit", ["identity", "subnormal tail"])
def test_wrong_fp32_results_are_tallied_as_on_the_host(
    device: Callable[..., Device], unit: str, wrong: str
) -> None:
    gpu = device(contract(FP32), ULP_TAIL, NANS, SIGNS)
    span = Span(FP32, UNITS[unit], UNITS[unit] + 1)
    y = WRONG[wrong](inputs(span, span.first), FP32)
    assert plain(gpu.settle(span, y)) == plain(host(gpu.case, gpu.limits, span, y))


def fused(x: Array, precision: Precision) -> Array:
    """x * tanh(log(1 + e**x)) in fp32, as a kernel fuses it that flushes subnormals to zero."""
    with np.errstate(all="ignore"):
        narrow = _flush(precision.widen(x).astype(np.float32))
        softplus = np.log(np.float32(1) + _flush(np.exp(narrow)))
        softplus = np.where(narrow > 80, narrow, softplus).astype(np.float32)
        return _rounded(_flush(narrow * np.tanh(softplus)), precision)


def rational(x: Array, precision: Precision) -> Array:
    """x * n / (n + 2) in fp32, NaN where n is infinite."""
    with np.errstate(all="ignore"):
        narrow = _flush(precision.widen(x).astype(np.float32))
        t = _flush(np.exp(narrow))
        n = t * (t + np.float32(2))
        return _rounded(_flush(narrow * (n / (n + np.float32(2)))), precision)


def _flush(values: Array) -> Array:
    small = np.abs(values) < np.float32(2.0**-126)
    return np.where(small, np.copysign(np.float32(0), values), values)


def _rounded(values: Array, precision: Precision) -> Array:
    with np.errstate(all="ignore"):
        return precision.round(values.astype(np.float64))


FUSED: dict[str, Right] = {"composed": fused, "exp_log": fused, "rational": rational}


def shipped(kernels: Callable[[Precision], ctypes.CDLL], case_id: str) -> Device:
    """With the limits and deviations that TensorRT 8.6 is held to."""
    case = parse(case_id)
    limits = load().limits(case, "8.6.0")
    assert limits.deviations
    return Device(kernels(case.precision), limits, case)


@pytest.mark.parametrize("form", FUSED)
def test_shipped_deviations_in_fp16_are_tallied_as_on_the_host(
    kernels: Callable[[Precision], ctypes.CDLL], form: str
) -> None:
    gpu, span = shipped(kernels, f"{form}-alone-fp16-tensorrt"), whole(FP16)
    for wrong in (FUSED[form], WRONG["3 up"], WRONG["noisy"], WRONG["NaN"]):
        y = wrong(FP16.all_values(), FP16)
        found = gpu.settle(span, y)
        assert plain(found) == plain(host(gpu.case, gpu.limits, span, y))
        assert found[0].deviations or wrong is not FUSED[form]


# Units in the deviations: of either sign near the smallest normal number, from where results are
# zero, and down to the flush tail.
@pytest.mark.parametrize("unit", [3, 515, 772, 774, 778, 779])
@pytest.mark.parametrize("form", ["composed", "rational"])
def test_shipped_deviations_in_fp32_are_tallied_as_on_the_host(
    kernels: Callable[[Precision], ctypes.CDLL], form: str, unit: int
) -> None:
    gpu, span = shipped(kernels, f"{form}-alone-fp32-tensorrt"), Span(FP32, unit, unit + 1)
    y = FUSED[form](inputs(span, unit), FP32)
    _held_and_counted(gpu, span, y)


def _held_and_counted(gpu: Device, span: Span, y: Array) -> Tally:
    """Tallied as on the host, with next to nothing left to it."""
    found = gpu.settle(span, y)
    assert plain(found) == plain(host(gpu.case, gpu.limits, span, y))
    answer = gpu.answer(span, y)
    assert np.count_nonzero(answer.errors < 0) <= 4 * span.units
    assert len(answer.doubts) < span.inputs / 50_000
    return found[0]


def passed(x: Array, precision: Precision) -> Array:
    """Right, and a NaN is returned as it is, signalling ones too."""
    bits, given = precision.to_bits(right(x, precision)).copy(), precision.to_bits(x)
    nan = np.isnan(precision.widen(x))
    bits[nan] = given[nan]
    return precision.from_bits(bits)


def lossy(x: Array, precision: Precision) -> Array:
    """As `fused`, with a tanh that is 7e-6 off, and the NaN that CUDA's arithmetic makes."""
    with np.errstate(all="ignore"):
        y = fused(x, precision)
        off = (precision.widen(x) < 4).astype(np.float64) * 7e-6
        y = _rounded(_flush(y * (1 - off).astype(np.float32)), precision)
    bits = precision.to_bits(y).copy()
    bits[np.isnan(precision.widen(x)) | np.isneginf(precision.widen(x))] = 0x7FFFFFFF
    return precision.from_bits(bits)


# Units of every round: the ends of bands and of what is flushed, all kinds of NaN, those around
# 2**-56 to 2**-46, where errors are multiples of 1 / 5 ULP but for next to nothing, and in each
# round where its errors are largest.
_ROUND = 128
_UNITS = (
    0, 3, 126, 127, 142, 143, 150, 157, 161, 249, 250, 255, 256, 260, 262, 265, 383, 384, 509, 510,
    511, 512, 515, 638, 639, 654, 662, 673, 761, 762, 766, 767, 770, 774, 778, 779, 785, 1021, 1022,
    1023,
)  # fmt: skip


@pytest.mark.parametrize("form", ["plugin", "composed"])
def test_the_host_settles_next_to_nothing_of_what_is_as_expected(
    kernels: Callable[[Precision], ctypes.CDLL], form: str
) -> None:
    case = parse(f"{form}-alone-fp32-tensorrt")
    gpu = Device(kernels(FP32), load().limits(case, "8.6.0"), case)
    made, right_here = segments(FP32, gpu.limits), {"plugin": passed, "composed": lossy}[form]
    for first in range(0, 1024, _ROUND):
        units = [unit for unit in _UNITS if first <= unit < first + _ROUND]
        if not units:
            continue
        outputs = {
            unit: right_here(inputs(Span(FP32, unit, unit + 1), unit), FP32) for unit in units
        }
        found = settle(_sparse(gpu, first, outputs), case, made, gpu.limits).settled
        assert found["dirty"] == found["crowded"] == 0
        # A tile for each edge of a segment, and one of NaN.
        edges = sum(first <= one.first >> 22 < first + _ROUND for one in made)
        assert found["mixed"] <= LEAF * edges
        assert found["worst"] <= 2 * LEAF
        assert found["doubtful"] <= len(units) * unit_size(FP32) >> 15


def _sparse(gpu: Device, first: int, outputs: dict[int, Array]) -> Answer:
    """The answer for a whole round, as if nothing were wrong but in a few of its units."""
    per_unit = unit_size(FP32) // LEAF
    answers = {
        unit: gpu.answer(Span(FP32, unit, unit + 1), y, room=32) for unit, y in outputs.items()
    }
    errors = np.zeros(_ROUND * per_unit)
    for unit, one in answers.items():
        errors[(unit - first) * per_unit :][:per_unit] = one.errors

    def fetch(tiles: Array) -> Array:
        rows = [
            answers[first + t // per_unit].fetch(np.array([t % per_unit])) for t in tiles.tolist()
        ]
        return np.concatenate(rows)

    def pick(wanted: Array) -> Array:
        found = []
        for unit, one in answers.items():
            some = wanted[wanted["tile"] // per_unit == unit - first].copy()
            some["tile"] %= per_unit
            found.append(one.pick(some))
        return np.concatenate(found)

    return Answer(
        Span(FP32, first, first + _ROUND),
        np.zeros(len(errors), dtype=np.uint64),
        errors,
        np.sum([one.counts for one in answers.values()], axis=0),
        np.concatenate([one.doubts for one in answers.values()]),
        fetch,
        pick,
    )


@pytest.mark.parametrize("unit", [142, 654])
@pytest.mark.parametrize("form", ["plugin", "composed"])
def test_ties_are_tallied_as_on_the_host(
    kernels: Callable[[Precision], ctypes.CDLL], form: str, unit: int
) -> None:
    case, span = parse(f"{form}-alone-fp32-tensorrt"), Span(FP32, unit, unit + 1)
    gpu = Device(kernels(FP32), load().limits(case, "8.6.0"), case)
    y = {"plugin": passed, "composed": lossy}[form](inputs(span, unit), FP32)
    found = gpu.settlement(span, y, room=32)
    assert found.settled["worst"] + found.settled["doubtful"] <= 2 * LEAF
    assert plain((found.tally, found.digests)) == plain(host(case, gpu.limits, span, y))


def test_doubtful_elements_without_room_are_left_to_the_host(
    kernels: Callable[[Precision], ctypes.CDLL],
) -> None:
    case = parse("composed-alone-fp32-tensorrt")
    gpu, span = Device(kernels(FP32), load().limits(case, "8.6.0"), case), Span(FP32, 262, 263)
    # Where Mish is x but for less than the uncertainty, one ULP more is on the edge of a bucket.
    x = inputs(span, 262)
    y = np.where(x > 18, np.nextafter(x, np.float32(np.inf)), right(x, FP32))
    made = segments(FP32, gpu.limits)
    every = gpu.settlement(span, y, room=LEAF)
    assert every.settled["crowded"] == 0
    answer = gpu.answer(span, y, room=1)
    some = settle(answer, case, made, gpu.limits)
    assert some.settled["crowded"] > 0
    assert 0 < some.settled["doubtful"] <= 1 << 12 < every.settled["doubtful"]
    assert (answer.doubts["y"] != 0).all()
    assert some.tally == every.tally
    assert plain((some.tally, some.digests)) == plain(host(case, gpu.limits, span, y))


def test_results_that_are_all_nan_are_counted_where_a_deviation_accepts_them(
    kernels: Callable[[Precision], ctypes.CDLL],
) -> None:
    gpu = shipped(kernels, "rational-alone-fp32-tensorrt")
    first = int(FP32.to_bits(np.array([44.0], dtype=np.float32))[0]) >> 22
    span = Span(FP32, first, first + 3)
    x = np.concatenate([inputs(span, unit) for unit in range(span.first, span.end)])
    tally = _held_and_counted(gpu, span, rational(x, FP32))
    (accepted,) = tally.deviations
    assert accepted.kind == "nan"
    assert accepted.count == int(np.isnan(rational(x, FP32)).sum()) > 1 << 22
    # Results among them that are no NaN, and ones that were not written, are no accepted ones.
    y = FP32.to_bits(rational(x, FP32)).copy()
    y[-5000] = FP32.to_bits(x)[-5000]
    assert _held_and_counted(gpu, span, FP32.from_bits(y)).deviations[0].count == accepted.count - 1
    y[-2048:] = poison(FP32)
    with pytest.raises(EngineFailure, match=r"2048 or more elements .* were not written"):
        gpu.settle(span, FP32.from_bits(y))


def test_a_deviation_that_accepts_less_leaves_breaches(
    kernels: Callable[[Precision], ctypes.CDLL],
) -> None:
    gpu = shipped(kernels, "composed-alone-fp32-tensorrt")
    least = 1.6e7  # some are beyond it
    limits = replace(
        gpu.limits,
        deviations=tuple(replace(d, largest_error=least) for d in gpu.limits.deviations),
    )
    gpu, span = replace(gpu, limits=limits), Span(FP32, 774, 775)
    y = fused(inputs(span, 774), FP32)
    found = gpu.settle(span, y)
    assert plain(found) == plain(host(gpu.case, limits, span, y))
    assert found[0].deviations[0].worst.error_ulp <= least
    assert found[0].breaches


def test_the_last_bits_of_a_devices_errors_change_nothing(device: Callable[..., Device]) -> None:
    gpu, span = device(contract(FP32)), Span(FP32, 765, 766)  # its two worst tiles are that close
    y = right(inputs(span, 765), FP32)
    answer = gpu.answer(span, y)
    second, first = np.argsort(answer.errors)[-2:]
    assert 0 < answer.errors[first] - answer.errors[second] < uncertainty(FP32, 0) / 2
    answer.errors[[first, second]] = answer.errors[[second, first]]
    found = settle(answer, gpu.case, segments(FP32, gpu.limits), gpu.limits)
    assert plain((found.tally, found.digests)) == plain(host(gpu.case, gpu.limits, span, y))


def test_what_is_accepted_by_less_than_the_uncertainty_is_doubtful(
    device: Callable[..., Device],
) -> None:
    span = Span(FP32, 766, 767)
    x = inputs(span, 766)
    y = FP32.from_bits(FP32.to_bits(right(x, FP32)) + np.uint32(3))
    errors = error_ulp(FP32.widen(y), mish(FP32.widen(x)), FP32)
    chosen = 1_234_567
    largest = float(errors[chosen])
    for bound in (largest, float(np.nextafter(largest, 0))):
        gpu = device(contract(FP32), replace(ULP_TAIL, x=(-9.0, 0.0), largest_error=bound))
        # The others beyond it are made right: they would make their tiles dirty.
        some = np.where(errors <= largest, FP32.to_bits(y), FP32.to_bits(right(x, FP32)))
        answer = gpu.answer(span, FP32.from_bits(some))
        assert int(FP32.to_bits(x)[chosen]) in answer.doubts["x"]
        found = gpu.settle(span, FP32.from_bits(some))
        assert plain(found) == plain(host(gpu.case, gpu.limits, span, FP32.from_bits(some)))
        assert sum(b.count for b in found[0].breaches) == (bound != largest)


def test_an_error_too_large_to_be_told_exactly_is_left_to_the_host(
    device: Callable[..., Device],
) -> None:
    every = Deviation("deviation 1", ("*",), (-np.inf, np.inf), "ulp", 1e12, 9, 9, "some")
    gpu, span = device(contract(FP32), every), Span(FP32, 256, 257)
    y = right(inputs(span, 256), FP32).copy()
    y[5000:] *= np.float32(3)  # beyond the limit and within what is told exactly
    y[9999] *= np.float32(1000)
    found, answer = gpu.settle(span, y), gpu.answer(span, y)
    assert plain(found) == plain(host(gpu.case, gpu.limits, span, y))
    assert np.flatnonzero(answer.errors < 0).tolist() == [9999 // LEAF]
    assert found[0].deviations[0].count == span.inputs - 5000


def test_elements_of_nan_that_were_not_written_are_no_results(
    device: Callable[..., Device],
) -> None:
    gpu, span = device(contract(FP32)), Span(FP32, 511, 512)
    x = inputs(span, 511)
    assert np.isnan(x).all()
    y = np.full(len(x), poison(FP32), dtype=np.uint32)
    with pytest.raises(EngineFailure, match="not written"):
        gpu.settle(span, FP32.from_bits(y))
