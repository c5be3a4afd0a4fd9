"""What is stored: as few inputs as fail, with the judge's own limits."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models
from verify import replay
from verify.bands import BANDS
from verify.cases import parse
from verify.findings import Finding
from verify.judge import Point, judge
from verify.oracle import expected
from verify.precision import BF16, FP16, FP32, PRECISIONS, Precision
from verify.replay.folder import write
from verify.samples import sample
from verify.tolerances import DEFAULT_FOLDER, Deviation


def stored_x(folder: Path | None, load: Any) -> Any:
    assert folder is not None
    return load(folder).load_data()[0]["x"]


@pytest.mark.parametrize(("engine", "precision"), [("onnxruntime", "fp32"), ("reference", "bf16")])
def test_one_input_is_enough(engine: str, precision: str, stored: Any, load: Any) -> None:
    finding = stored(engine, precision)[0]
    assert stored_x(finding.replay.folder, load).shape == (1,)


def test_conv_is_stored_in_its_shape(find: Any, load: Any, tmp_path: Path) -> None:
    request = find(
        "f1-as-published", "reference", "fp16", context="conv", pick=lambda f: f.output == "y[:,1]"
    )
    (finding,) = replay.store_all([request], tmp_path)
    assert finding.replay is not None
    assert finding.replay.reproduced
    assert stored_x(finding.replay.folder, load).shape == (1, 1, 1, 1)


def test_position_dependent_failure_keeps_what_it_takes(
    find: Any, load: Any, tmp_path: Path
) -> None:
    # The first entry of the first axis is all that is right; a large neighbour makes it wrong.
    x = np.linspace(-12, 2, 3001).astype(np.float32)
    x[2500] = 44
    requests = [
        find("batch-ignored", "onnxruntime", "fp32", x=x, pick=lambda f: f.band == "bulk"),
        find("neighbours", "onnxruntime", "fp32", x=x, pick=lambda f: f.band == "negative tail"),
    ]
    findings = replay.store_all(requests, tmp_path)
    for finding in findings:
        assert finding.replay is not None
        assert finding.replay.reproduced
        assert 2 <= stored_x(finding.replay.folder, load).size <= 3


def test_an_array_with_a_shape_is_stored_whole(find: Any, load: Any, tmp_path: Path) -> None:
    x = np.linspace(-3, 3, 30).astype(np.float32).reshape(2, 3, 5)
    request = find("rank-hard-coded", "onnxruntime", "fp32", x=x)
    (finding,) = replay.store_all([request], tmp_path)
    assert finding.replay is not None
    assert finding.replay.reproduced
    assert stored_x(finding.replay.folder, load).shape == (2, 3, 5)


def test_right_model_is_not_reproduced(find: Any, tmp_path: Path) -> None:
    wrong = find("silu", "onnxruntime", "fp16")
    model = models.serialize(models.build("composed", "alone", "fp16"))
    from verify.engines import engine

    executor: Any = engine("onnxruntime")
    request = replace(wrong, model=model, open_session=lambda: executor.open(model, FP16))
    (finding,) = replay.store_all([request], tmp_path)
    assert finding.replay is not None
    assert not finding.replay.reproduced
    assert finding.replay.line.startswith("cd ")


def test_exceeded_count_is_shown(find: Any, limits: Any, load: Any, tmp_path: Path) -> None:
    deviation = Deviation("deviation 1", ("*",), (20.0, np.inf), "nan", np.inf, 5, 5, "test")
    request = find(
        "rational",
        "reference",
        "fp16",
        limits=limits(1e6, deviations=(deviation,)),
        pick=lambda f: not f.output,
    )
    (finding,) = replay.store_all([request], tmp_path)
    assert finding.replay is not None
    assert finding.replay.reproduced
    assert stored_x(finding.replay.folder, load).size == 6


def test_names_are_told_apart_and_folders_replaced(find: Any, tmp_path: Path) -> None:
    x = sample(FP16, 0).values
    first = find("silu", "onnxruntime", "fp16", x=x, pick=lambda f: f.band == "origin")
    second = find("hard-mish", "onnxruntime", "fp16", x=x, pick=lambda f: f.band == "origin")
    for requests in ([first, second], [second]):
        for finding in replay.store_all(requests, tmp_path):
            assert finding.replay is not None
            assert finding.replay.reproduced
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "composed-alone-fp16-onnxruntime_limits_origin",
        "composed-alone-fp16-onnxruntime_limits_origin_2",
    ]
    kept = tmp_path / "composed-alone-fp16-onnxruntime_limits_origin" / "model.onnx"
    assert kept.read_bytes() == second.model


def test_unknown_output_and_missing_point(find: Any, tmp_path: Path) -> None:
    request = find("silu", "onnxruntime", "fp16")
    for finding, words in (
        (replace(request.finding, output="z"), "no view of the output 'z'"),
        (replace(request.finding, point=None), "without a point"),
    ):
        with pytest.raises(ValueError, match=words):
            replay.store_all([replace(request, finding=finding)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_findings_not_about_values(find: Any) -> None:
    finding = replay.rerun(find("silu", "onnxruntime", "fp16").finding, 7)
    assert finding.replay is not None
    assert finding.replay.folder is None
    assert finding.replay.line == (
        "python -m verify run --case composed-alone-fp16-onnxruntime --check limits --seed 7"
    )
    assert not finding.replay.reproduced, "the form is right: its line passes"


def test_a_line_that_runs_a_check_again_is_executed(tmp_path: Path) -> None:
    folder = tmp_path / "own tolerances"
    shutil.copytree(DEFAULT_FOLDER, folder)
    path = folder / "fp16.toml"
    text = path.read_text()
    assert '"well" = 2.0, "origin" = 2.0' in text
    path.write_text(text.replace('"well" = 2.0, "origin" = 2.0', '"well" = 1.5, "origin" = 2.0'))
    case = parse("composed-alone-fp16-reference")
    bits = "0xc2a3"  # x = -3.318359375, off by 1.84 ULP
    point = Point(0, -3.318359375, bits, 0.0, 0.0, "0x0000", 1.84)
    finding = Finding(case, "limits", "told by a test", "y", "well", "ulp", point, 1.5, 1, 1)
    again = replay.rerun(finding, 0, folder)
    assert again.replay is not None
    assert again.replay.reproduced
    assert shlex.split(again.replay.line)[-2:] == ["--tolerances", str(folder)]
    other = replace(finding, point=replace(point, x_bits="0x1234"))
    again = replay.rerun(other, 0, folder)
    assert again.replay is not None
    assert not again.replay.reproduced, "it failed, but not at that input"


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("context", ["alone", "branch", "conv"])
@pytest.mark.parametrize("either", [True, False])
def test_compare_agrees_with_the_judge(
    precision: Precision,
    context: str,
    either: bool,
    find: Any,
    limits: Any,
    load: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(3)
    x = sample(precision, 0).values
    x = x if precision is not FP32 else np.concatenate([x[:: len(x) // 60_000], x[-3:]])
    allowed = limits(
        0.75,
        nan_at_minus_inf=either,
        floor=dict.fromkeys(BANDS[:3], 4 * precision.smallest_subnormal),
        deviations=(
            Deviation("deviation 1", ("*",), (-1.0, 2.0), "ulp", 1.5, 10**6, 10**6, "test"),
            Deviation("deviation 2", ("*",), (-9.0, 1.0), "sign", np.inf, 10**6, 10**6, "test"),
            Deviation("deviation 3", ("*",), (3.0, np.inf), "nan", np.inf, 10**6, 10**6, "test"),
        ),
    )
    views = expected(context, x, precision)
    outputs: dict[str, Any] = {}
    wrong = []
    for view in views:
        # Off by up to 2 ULP, with NaNs, infinities and wrong signs strewn in.
        bits = precision.to_bits(precision.round(view.expected)).astype(np.int64)
        mask = (1 << precision.total_bits) - 1
        bits = (bits + rng.integers(-2, 3, len(bits)) * (rng.random(len(bits)) < 0.5)) & mask
        strewn = rng.random(len(bits))
        bits[strewn < 0.1] ^= 1 << (precision.total_bits - 1)
        special = precision.to_bits(precision.round(np.array([np.nan, np.inf, -np.inf])))
        picks = (strewn > 0.8) & (strewn < 0.9)
        bits[picks] = rng.choice(special.astype(np.int64), int(picks.sum()))
        wrong.append(precision.from_bits(bits))
    for name in {view.output for view in views}:
        arrays = [w for w, view in zip(wrong, views, strict=True) if view.output == name]
        stacked = np.stack(arrays, axis=1)
        outputs[name] = stacked.reshape(-1, 2, 1, 1) if context == "conv" else arrays[0]
    judgement = judge(views, outputs, x, precision, allowed)
    finding = find("silu", "reference", "fp16").finding
    finding = replace(finding, case=replace(finding.case, precision=precision))
    fed = x.reshape(-1, 1, 1, 1) if context == "conv" else x
    folder = tmp_path / "folder"
    write(folder, finding, 0, b"x", fed, views, allowed, replay.command_of("reference"))
    module = load(folder)
    golden = module.RunResults.load(str(folder / "golden.json"))[0][1][0]
    live = {n: a.view(np.uint16) if precision is BF16 else a for n, a in outputs.items()}
    answer = module.compare_outputs(live, golden)
    said = capsys.readouterr().out
    assert set(answer) == set(outputs)
    failing = sum(breach.count for breach in judgement.breaches)
    assert failing > 1000
    assert f"replay: FAIL: {failing} results for {len(x)} inputs" in said
    labels = {breach.output.split("[")[0] for breach in judgement.breaches}
    assert answer == {name: name not in labels for name in outputs}
