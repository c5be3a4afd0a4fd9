"""The worst plugin that is allowed keeps to what it owes alone, and uses all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from verify.cases import Case
from verify.extreme import _CHOICES, _plugin, worst_allowed
from verify.judge import judge
from verify.oracle import expected
from verify.precision import BF16, FP16, PRECISIONS, Precision
from verify.samples import sample
from verify.tolerances import load


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("choice", range(len(_CHOICES)), ids=_CHOICES)
def test_it_keeps_to_the_contract_alone_and_uses_it_up(precision: Precision, choice: int) -> None:
    limits = load().limits(Case("plugin", "alone", precision, "tensorrt"))
    x = np.ascontiguousarray(sample(precision, 3).values[:: 16 if precision.total_bits > 16 else 1])
    y = _plugin(x, precision, limits, choice)
    views = expected("alone", x, precision)
    judged = judge(views, {"y": y}, x, precision, limits, whole_sample=False)
    assert judged.breaches == ()
    worst = {b.band: b.worst.error_ulp for b in judged.bands if b.result == "regular"}
    least = 0.97 if max(limits.ulp.values()) >= 1 else 0.98 * max(limits.ulp.values())
    assert all(worst[band] > least for band in ("negative tail", "well", "origin", "bulk"))


@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)
def test_no_plugin_that_is_allowed_alone_drifts_further(precision: Precision) -> None:
    """Plugins that choose at random among the allowed numbers stay below the worst one."""
    case = Case("plugin", "chain", precision, "tensorrt")
    contract = load()
    limits = contract.limits(replace(case, context="alone"))
    x = sample(precision, 0).values
    (view,) = expected("chain", x, precision)
    worst = {(b.band, b.result): b.worst.error_ulp for b in worst_allowed(contract, case)}
    rng = np.random.default_rng(0)
    for _ in range(5):
        y = x
        for _ in range(8):
            up, down = (_plugin(y, precision, limits, choice) for choice in (0, 1))
            y = np.where(rng.random(len(x)) < 0.5, up, down)
        judged = judge([view], {"y": y}, x, precision, contract.limits(case), whole_sample=False)
        # What has to be exact has to be so whatever the steps before it were allowed.
        assert {breach.result for breach in judged.breaches} <= {"special"}
        for band in (band for band in judged.bands if band.result != "special"):
            assert band.worst.error_ulp <= worst[band.band, band.result]


def test_only_a_plugin_and_only_where_something_is_computed_with_its_result() -> None:
    contract = load()
    assert worst_allowed(contract, Case("plugin", "alone", FP16, "tensorrt")) == ()
    assert worst_allowed(contract, Case("composed", "chain", FP16, "tensorrt")) == ()
    assert worst_allowed(contract, Case("plugin", "chain", FP16, "onnxruntime")) == ()
    assert worst_allowed(contract, Case("plugin", "chain", FP16, "tensorrt"))
