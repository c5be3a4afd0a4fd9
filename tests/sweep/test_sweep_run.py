from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models
from models.mutants import mutant
from verify.cases import parse
from verify.engines import Executor
from verify.findings import Finding
from verify.histogram import BUCKETS
from verify.histogram import tally as histogram
from verify.judge import judge
from verify.oracle import expected
from verify.precision import FP16, FP32, Array
from verify.run import model_of
from verify.samples import sample
from verify.sweep import run
from verify.sweep import tally as tallies
from verify.sweep.findings import findings, store
from verify.sweep.record import SweepRecord
from verify.sweep.run import Host, Part, sweep
from verify.sweep.span import Span, inputs, unit_size, whole
from verify.sweep.worker import Worker
from verify.tolerances import Limits, load
from verify.ulp import error_ulp

Swept = Callable[..., SweepRecord]

FP16_ORT = "composed-alone-fp16-onnxruntime"
FP16_REF = "composed-alone-fp16-reference"
# The unit of fp32 that holds 0.7001953125, the input of the mutant `one-input-wrong`.
ONE = int(np.float32(0.7001953125).view(np.uint32)) // unit_size(FP32)


def test_a_sweep_finds_what_the_judge_finds_at_once(swept: Swept) -> None:
    record = swept(FP16_REF)
    assert record.complete
    assert record.verdict == "KNOWN"
    assert record.coverage == "65 536 of 65 536"
    assert record.exhaustive
    case = parse(FP16_REF)
    x = sample(FP16, 0).values
    with_all = load().limits(case)
    runner_outputs = _run(case.id, x)
    judged = judge(expected("alone", x, FP16), runner_outputs, x, FP16, with_all)
    assert len(judged.bands) == len(record.tally.bands)
    for band, found in zip(judged.bands, record.tally.bands, strict=True):
        assert (band.output, band.band, band.result) == (found.output, found.band, found.result)
        assert (band.samples, band.breaches) == (found.samples, found.breaches)
        assert band.worst.error_ulp == found.worst.error_ulp
    assert [a.count for a in judged.accepted] == [d.count for d in record.tally.deviations]


def _run(case_id: str, x: Array) -> dict[str, Array]:
    from verify.engines import engine

    case = parse(case_id)
    runner = engine(case.engine)
    assert isinstance(runner, Executor)
    with runner.open(model_of(case), case.precision) as session:
        return session.run(x)


@pytest.mark.parametrize("context", ["alone", "branch", "conv"])
def test_histograms_sum_to_the_samples_and_samples_to_the_inputs(
    swept: Swept, context: str
) -> None:
    record = swept(f"rational-{context}-fp16-reference")
    outputs = {band.output for band in record.tally.bands}
    assert len(outputs) == {"alone": 1, "branch": 3, "conv": 2}[context]
    for band in record.tally.bands:
        assert len(band.histogram) == BUCKETS
        assert sum(band.histogram) == band.samples
        assert band.nan + band.inf + band.sign <= band.breaches <= band.samples
        assert (band.nan > 0) == (band.histogram[-1] > 0)
    for output in outputs:
        bands = [band for band in record.tally.bands if band.output == output]
        assert sum(band.samples for band in bands) == 65536


def test_the_histogram_is_that_of_the_errors(swept: Swept) -> None:
    record = swept(FP16_REF)
    x = FP16.all_values()
    x = x[np.isfinite(x)]
    (view,) = expected("alone", x, FP16)
    actual = FP16.widen(_run(FP16_REF, x)["y"])
    total = histogram(error_ulp(actual, view.expected, FP16))
    finite = [band for band in record.tally.bands if band.band != "nonfinite"]
    assert np.sum([band.histogram for band in finite], axis=0).tolist() == total.tolist()


def test_what_is_outside_of_every_deviation_is_told_apart(swept: Swept) -> None:
    record = swept("exp_log-alone-fp16-reference")
    bands = {(band.band, band.result): band for band in record.tally.bands}
    tail = bands["negative tail", "regular"]
    assert tail.worst.error_ulp > 1000
    assert tail.outside is None
    well = bands["well", "regular"]
    assert well.outside is not None
    assert well.outside.error_ulp <= 33.0
    nonfinite = bands["nonfinite", "special"]
    assert nonfinite.worst.x_bits == "0xfc00"
    assert nonfinite.outside is not None
    assert nonfinite.outside.error_ulp == 0.0


@pytest.mark.parametrize("case_id", [FP16_REF, FP16_ORT])
def test_one_wrong_input_of_fp16_is_found_counted_and_replayed(
    swept: Swept, executor: Callable[[str], Executor], tmp_path: Path, case_id: str
) -> None:
    record = swept(case_id, wrong="one-input-wrong")
    _holds_the_one(record, "0x399a")
    found = _stored(record, executor(case_id), tmp_path)
    assert found.count == 1
    assert found.replay is not None
    assert found.replay.reproduced
    assert found.replay.folder is not None
    assert (found.replay.folder / "replay.sh").exists()


@pytest.mark.parametrize("engine_name", ["reference", "onnxruntime"])
def test_one_wrong_input_of_four_million_is_found_and_counted(
    swept: Swept, engine_name: str
) -> None:
    record = swept(f"composed-alone-fp32-{engine_name}", ONE, ONE + 1, wrong="one-input-wrong")
    assert record.coverage == "4 194 304 of 4 294 967 296"
    assert not record.exhaustive
    assert record.stale == ()
    _holds_the_one(record, "0x3f334000")


def _holds_the_one(record: SweepRecord, bits: str) -> None:
    assert record.verdict == "FAIL"
    (breach,) = record.tally.breaches
    assert (breach.count, breach.band, breach.kind) == (1, "bulk", "ulp")
    assert breach.lowest == breach.highest
    (point,) = breach.first
    assert breach.worst == (point,)
    assert point.x_bits == bits
    assert point.error_ulp > 60


def _stored(record: SweepRecord, runner: Executor, folder: Path) -> Finding:
    case = parse(record.case)
    limits = load().limits(case)
    model = models.serialize(mutant("one-input-wrong").build(case.precision.name))
    (found,) = store(findings(case, record, limits), record, limits, model, runner, folder)
    return found


def test_every_violation_is_counted_and_the_first_and_worst_are_kept(swept: Swept) -> None:
    limits = replace(load().limits(parse(FP16_REF)), deviations=())
    limits = replace(limits, ulp={**limits.ulp, ("well", "regular"): 1.25})
    record = swept(FP16_REF, limits=limits)
    x = FP16.all_values()
    wide = FP16.widen(x)
    x = x[(wide >= -4.0) & (wide < -0.25)]
    (view,) = expected("alone", x, FP16)
    error = error_ulp(FP16.widen(_run(FP16_REF, x)["y"]), view.expected, FP16)
    broken = np.flatnonzero(error > 1.25)
    assert len(broken) > 20
    (breach,) = (b for b in record.tally.breaches if b.band == "well")
    assert breach.count == len(broken)
    bits = FP16.to_bits(x)
    by_bits = sorted(broken, key=lambda i: int(bits[i]))
    by_error = sorted(broken, key=lambda i: (-error[i], int(bits[i])))
    few = tallies.FEW
    assert [int(p.x_bits, 16) for p in breach.first] == [int(bits[i]) for i in by_bits[:few]]
    assert [int(p.x_bits, 16) for p in breach.worst] == [int(bits[i]) for i in by_error[:few]]


def test_tallies_merge_alike_in_any_order_and_grouping(swept: Swept) -> None:
    limits = load().limits(parse("rational-branch-fp16-reference"))
    limits = replace(limits, ulp=dict.fromkeys(limits.ulp, 0.75))
    case_id = "rational-branch-fp16-reference"
    parts = [swept(case_id, i, i + 1, limits=limits).tally for i in range(0, 64, 4)]
    whole_tally = tallies.merge(parts)
    rng = np.random.default_rng(2)
    for _ in range(5):
        order = rng.permutation(len(parts))
        cut = int(rng.integers(1, len(parts)))
        left = tallies.merge([parts[i] for i in order[:cut]])
        right = tallies.merge([parts[i] for i in order[cut:]])
        assert tallies.merge([right, left]).model_dump_json() == whole_tally.model_dump_json()


def test_parts_of_fp32_merge_to_the_whole(swept: Swept) -> None:
    case_id, first = "composed-alone-fp32-onnxruntime", 779
    both = swept(case_id, first, first + 2)
    parts = [swept(case_id, first + i, first + i + 1) for i in range(2)]
    assert tallies.merge(part.tally for part in parts) == both.tally
    assert tuple(digest for part in parts for digest in part.digests) == both.digests
    assert both.tally.deviations
    assert both.verdict == "KNOWN"


def test_processes_find_what_one_finds(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = "exp_log-alone-fp32-onnxruntime"
    alone = swept(case_id, 780, 783)
    monkeypatch.setattr(run, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(run, "cores", lambda: 2)
    together = swept(case_id, 780, 783)
    assert together.model_copy(update={"timing": alone.timing}) == alone


def test_op_and_composed_are_bitwise_the_same(swept: Swept) -> None:
    for engine_name in ("reference", "onnxruntime"):
        told = {swept(f"{form}-alone-fp16-{engine_name}").checksum for form in ("op", "composed")}
        assert len(told) == 1
    assert swept("exp_log-alone-fp16-reference").checksum not in told


class _Stopping:
    """Interrupted while it makes its fourth part."""

    jobs = 1
    plan = ""

    def __init__(self, backend: Host) -> None:
        self._backend = backend

    def parts(self, span: Span) -> Iterator[Part]:
        """Three parts."""
        for done, part in enumerate(self._backend.parts(span)):
            if done == 3:
                raise KeyboardInterrupt
            yield part


def test_an_interrupt_keeps_what_is_done(executor: Callable[[str], Executor], swept: Swept) -> None:
    case = parse(FP16_REF)
    limits, model = load().limits(case), model_of(case)
    runner = executor(FP16_REF)
    stopping = _Stopping(Host(runner, case, model, limits))
    record, interrupted = sweep(stopping, runner, case, model, limits, whole(FP16))
    assert interrupted
    assert not record.complete
    assert (record.first, record.end, len(record.digests)) == (0, 3, 3)
    assert record.tally == swept(FP16_REF, 0, 3).tally


def test_a_deviation_is_stale_or_exceeded_only_once_all_inputs_were_covered(swept: Swept) -> None:
    limits = load().limits(parse(FP16_REF))
    never = replace(limits.deviations[0], key="deviation 98", kind="inf", x=(1.0, 2.0))
    tight = replace(limits.deviations[0], key="deviation 99", largest_count_of_all=0)
    for deviations, verdict in (((never,), "FAIL"), ((tight, never), "FAIL"), ((tight,), "FAIL")):
        changed: Limits = replace(limits, deviations=deviations)
        part = swept(FP16_REF, 0, 63, limits=changed)
        assert part.stale == ()
        assert part.over == ()
        record = swept(FP16_REF, limits=changed)
        assert record.verdict == verdict
        assert record.stale == (("deviation 98",) if never in deviations else ())
        assert [over.deviation for over in record.over] == (
            ["deviation 99"] if tight in deviations else []
        )
    (over,) = findings(parse(FP16_REF), record, changed)
    assert "deviation 99 accepts 0" in over.message
    stale = replace(limits, deviations=(*limits.deviations, never))
    assert swept(FP16_REF, limits=stale).verdict == "STALE"


def test_an_output_that_is_missing_is_never_a_pass(
    executor: Callable[[str], Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from verify.judge import VacuousError

    case = parse(FP16_REF)
    limits, model = load().limits(case), model_of(case)
    with Worker(executor(FP16_REF), case, model, limits) as worker:
        monkeypatch.setattr(worker._session, "run", lambda x: {"y": x[:-1]})
        with pytest.raises(VacuousError):
            worker.part(0)


def test_the_units_of_the_tests_hold_what_they_should() -> None:
    assert np.float32(0.7001953125) in inputs(whole(FP32), ONE)
