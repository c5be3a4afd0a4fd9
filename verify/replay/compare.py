"""One finding about values, shown again by `polygraphy run`: see replay.sh beside this file.

Needs NumPy, Polygraphy and the engine, nothing else; the folder may be moved. `load_data` gives
Polygraphy the inputs and refuses damaged files; `compare_outputs` holds what the engine returns
against golden.json, the unrounded float64 oracle. Exit codes: 1 while the finding is there, 0
when it is gone, 2 where a file is missing or damaged.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata
from polygraphy.comparator import Comparator, RunResults
from polygraphy.json import load_json

# What was stored. The limits of a view's elements are runs of [count, limit in ULP (null: exact),
# absolute floor, whether NaN is allowed, indexes of the deviations in whose range they lie].
RECORD: Any = json.loads(r"""{}""")

HERE = Path(__file__).resolve().parent
SHOWN = 5
KINDS = ("ulp", "nan", "inf", "sign")
NAN, INF, SIGN = 1, 2, 3

# The dtype that Polygraphy carries, the dtype of the bits, significand bits, least exponent.
# NumPy has no bf16: such tensors travel as their bits.
FORMATS: Any = {
    "fp32": (np.float32, np.uint32, 24, -126),
    "fp16": (np.float16, np.uint16, 11, -14),
    "bf16": (np.uint16, np.uint16, 8, -126),
}


class Measured(NamedTuple):
    """One output, or one channel of it: flat arrays, one element for each input."""

    label: str
    output: str
    actual: Any
    expected: Any  # float64
    limits: Any  # ULP, float64; NaN where the result must be exact
    error: Any  # ULP, float64
    kind: Any  # uint8, indexes into KINDS
    beyond: Any  # bool: a limit is broken, and no deviation accepts it


def load_data() -> Any:
    """The feed dicts, one for each iteration: ``{"x": array}``.

    Prints one line and exits with code 2 where inputs.json or golden.json is missing, empty or
    not as it was stored, or where the two don't belong together: Polygraphy alone would pass.
    """
    return _load()[0]


def compare_outputs(iter_result0: Any, iter_result1: Any) -> dict[str, bool]:
    """Whether each output of the live run (the first) is within its limits of the golden one.

    NaN, infinities and signs are judged before ULP; what an accepted deviation covers passes.
    Prints the failing elements, the worst first. A missing, extra, wrongly shaped or wrongly
    typed output fails, and the answer is never empty.
    """
    live = {name: np.asarray(iter_result0[name]) for name in iter_result0}
    golden = {name: np.asarray(iter_result1[name]) for name in iter_result1}
    x = load_data()[0]["x"].reshape(-1)
    fault = _fault(live, golden)
    if fault:
        print(f"replay: FAIL: {fault}", flush=True)
        return dict.fromkeys(sorted({"y", *live, *golden}), False)
    taken = [np.zeros(x.shape, dtype=bool) for _ in RECORD["deviations"]]
    views: list[Measured] = []
    counted: list[Any] = []
    for view in RECORD["views"]:
        measured = _measure(view, live, golden)
        views.append(measured)
        counted.append(np.zeros(x.shape, dtype=bool))
        for number, deviation in enumerate(RECORD["deviations"]):
            covered = measured.beyond & _covers(number, view, measured)
            taken[number][covered] = True
            measured.beyond[covered] = False
            if deviation["largest_count"] is not None:
                counted[-1][covered] = True
    note = ""
    for number, deviation in enumerate(RECORD["deviations"]):
        count, allowed = int(taken[number].sum()), deviation["largest_count"]
        if allowed is not None and count > allowed:
            note = f"; {count} inputs deviate, {deviation['key']} accepts {allowed}"
            for index, measured in enumerate(views):
                measured.beyond[counted[index]] = True
    _print(views, x, note)
    passed = {measured.output: True for measured in views}
    for measured in views:
        passed[measured.output] &= not measured.beyond.any()
    return passed


def obey_half(network: Any) -> None:
    """Have every floating-point layer of a TensorRT 8.6 network compute and return fp16.

    What the file says is a wish there; together with obeyed precision constraints this forces it.
    """
    import tensorrt as trt

    floating = (trt.float32, trt.float16)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type in (trt.LayerType.CONSTANT, trt.LayerType.SHAPE):
            continue  # a constant has the type of its weights, and shapes are integers
        outputs = [i for i in range(layer.num_outputs) if layer.get_output(i).dtype in floating]
        if outputs:
            layer.precision = trt.float16
        for i in outputs:
            layer.set_output_type(i, trt.float16)
    for index in range(network.num_outputs):
        network.get_output(index).dtype = trt.float16


def _load() -> tuple[Any, Any]:
    """inputs.json and golden.json: the feed dicts, and the oracle's iterations."""
    inputs, golden = _read("inputs.json", load_json), _read("golden.json", RunResults.load)
    runs = golden.lst
    if len(runs) != 1:
        _refuse("golden.json", f"holds {len(runs)} runs instead of 1")
    iterations = runs[0][1]
    if not inputs:
        _refuse("inputs.json", "holds no iterations")
    if len(iterations) != len(inputs):
        _refuse("golden.json", f"holds {len(iterations)} iterations, inputs.json {len(inputs)}")
    if len(inputs) != 1:
        _refuse("inputs.json", f"holds {len(inputs)} iterations instead of 1")
    feed, outputs = inputs[0], iterations[0]
    if list(feed) != ["x"] or not feed["x"].size:
        _refuse("inputs.json", "holds no elements of the input x")
    for view in RECORD["views"]:
        name, of_limits = view["output"], sum(run[0] for run in view["limits"])
        channels = sum(other["output"] == name for other in RECORD["views"])
        of_golden = outputs[name].size if name in outputs else 0
        if of_golden != feed["x"].size * channels:
            of_one = of_golden // channels
            _refuse("golden.json", f"holds {of_one} elements of {name} for {feed['x'].size} inputs")
        if of_limits != feed["x"].size:
            _refuse("compare.py", f"holds {of_limits} limits for {feed['x'].size} inputs")
    return inputs, iterations


def _read(name: str, load: Any) -> Any:
    try:
        data = (HERE / name).read_bytes()
    except OSError as error:
        _refuse(name, f"is missing or can't be read ({error.strerror})")
    if not data:
        _refuse(name, "is empty")
    if hashlib.sha256(data).hexdigest() != RECORD["sha256"][name]:
        _refuse(name, "is damaged: its sha256 is not the one in compare.py")
    return load(str(HERE / name))


def _refuse(name: str, why: str) -> NoReturn:
    print(f"replay: {HERE / name}: {why}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def _fault(live: Any, golden: Any) -> str:
    """What is wrong with the outputs as a whole; empty if they can be compared."""
    dtype = np.dtype(FORMATS[RECORD["precision"]][0])
    wanted = sorted({view["output"] for view in RECORD["views"]})
    if not wanted or sorted(golden) != wanted:
        return f"golden.json holds the outputs {sorted(golden)}; expected {wanted}"
    if sorted(live) != wanted:
        return f"the engine returned the outputs {sorted(live)}; expected {wanted}"
    for name in wanted:
        got, due = live[name], golden[name]
        if got.shape != due.shape or got.dtype != dtype:
            return (
                f"output {name} is {got.dtype} of shape {got.shape}; "
                f"expected {dtype} of shape {due.shape}"
            )
    return ""


def _measure(view: Any, live: Any, golden: Any) -> Measured:
    """Judge every element of one view."""
    _, _, significand_bits, least = FORMATS[RECORD["precision"]]
    actual, expected = _select(view, live), _select(view, golden)
    wide = _widen(actual)
    counts = [run[0] for run in view["limits"]]
    limits = np.repeat([np.nan if run[1] is None else run[1] for run in view["limits"]], counts)
    floors = np.repeat([run[2] for run in view["limits"]], counts)
    nan_allowed = np.repeat([bool(run[3]) for run in view["limits"]], counts)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(wide - expected)
        _, exponent = np.frexp(expected)
        exponent = np.maximum(exponent - 1, least) - (significand_bits - 1)
        error = np.asarray(distance / np.ldexp(1.0, exponent))
    # From halfway between the largest finite number and the next power of two on, a value
    # rounds to infinity.
    overflow = (2.0 - 2.0**-significand_bits) * 2.0 ** (1 - least)
    infinite = np.where(np.abs(expected) >= overflow, np.copysign(np.inf, expected), expected)
    both_nan = np.isnan(wide) & (np.isnan(expected) | nan_allowed)
    same_inf = np.isinf(wide) & (wide == infinite)
    right = both_nan | same_inf
    nan = (np.isnan(wide) != np.isnan(expected)) & ~right
    inf = (np.isinf(wide) | np.isinf(expected)) & ~right & ~nan
    sign = (np.signbit(wide) != np.signbit(expected)) & ~right & ~nan & ~inf
    if not view["zero_sign"]:
        sign &= (wide != 0) | (expected != 0)
    error[right], error[nan | inf] = 0.0, np.inf
    kind = np.zeros(error.shape, dtype=np.uint8)
    kind[nan], kind[inf], kind[sign] = NAN, INF, SIGN
    with np.errstate(invalid="ignore"):
        beyond = (error > np.nan_to_num(limits)) & ~((floors > 0) & (distance <= floors))
    beyond |= kind != 0
    label = view["output"] if view["channel"] is None else f"{view['output']}[:,{view['channel']}]"
    return Measured(label, view["output"], actual, expected, limits, error, kind, beyond)


def _select(view: Any, arrays: Any) -> Any:
    array = arrays[view["output"]]
    return (array if view["channel"] is None else array[:, view["channel"]]).reshape(-1)


def _covers(number: int, view: Any, measured: Measured) -> Any:
    deviation = RECORD["deviations"][number]
    counts = [run[0] for run in view["limits"]]
    covered = np.repeat([number in run[4] for run in view["limits"]], counts)
    covered &= measured.kind == KINDS.index(deviation["kind"])
    if deviation["kind"] in ("ulp", "sign"):
        covered &= measured.error <= deviation["largest_error"]
    return covered


def _widen(values: Any) -> Any:
    """Numbers of the precision, as Polygraphy carries them, as float64."""
    if RECORD["precision"] == "bf16":
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaNs become quiet ones
        return values.astype(np.float64)


def _print(views: list[Measured], x: Any, note: str) -> None:
    """The verdict, and the failing elements: the worst first, the finding's own among them."""
    rows = []
    for number, measured in enumerate(views):
        which = np.flatnonzero(measured.beyond)
        worst = which[np.argsort(-measured.error[which], kind="stable")][:SHOWN]
        rows += [(-measured.error[i], number, int(i)) for i in worst]
    rows = sorted(rows)[:SHOWN]
    failing = sum(int(measured.beyond.sum()) for measured in views)
    if not failing:
        print(f"replay: PASS: {len(x)} inputs within their limits", flush=True)
        return
    finding = RECORD["finding"]
    for number, measured in enumerate(views):
        at = finding["element"]
        own = measured.label == finding["output"] or not finding["output"]
        if own and measured.beyond[at] and at not in [i for _, n, i in rows if n == number]:
            rows[SHOWN - 1 :] = [(-measured.error[at], number, at)]
            break
    print(f"replay: FAIL: {failing} results for {len(x)} inputs are beyond their limits{note}")
    for _, number, i in rows:
        measured = views[number]
        limit = "exact" if np.isnan(measured.limits[i]) else f"{measured.limits[i]:.9g} ULP"
        kind = "" if measured.kind[i] == 0 else f" ({KINDS[measured.kind[i]]})"
        print(
            f"  {measured.label}: x {_widen(x[i : i + 1])[0]:.9g} x_bits {_bits(x[i : i + 1])}"
            f"  expected {measured.expected[i]:.17g}"
            f"  actual {_widen(measured.actual[i : i + 1])[0]:.9g}"
            f" actual_bits {_bits(measured.actual[i : i + 1])}"
            f"  error {measured.error[i]:.9g} ULP{kind}  limit {limit}"
        )
    sys.stdout.flush()


def _bits(one: Any) -> str:
    bits = np.ascontiguousarray(one).view(FORMATS[RECORD["precision"]][1])
    return f"0x{int(bits[0]):0{bits.itemsize * 2}x}"


# ----- The ONNX reference evaluator, which Polygraphy's command line does not know --------------


class ReferenceRunner(BaseRunner):  # type: ignore[misc]  # Polygraphy ships no types
    """Evaluates model.onnx operator by operator; bf16 comes and goes as uint16 bits."""

    def activate_impl(self) -> None:
        """Load the model."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load(str(HERE / "model.onnx"))
        self.evaluator = ReferenceEvaluator(model)
        tensor = model.graph.input[0].type.tensor_type
        self.dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        self.shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]

    def get_input_metadata_impl(self) -> Any:
        """The one input; -1 for a dynamic axis."""
        return TensorMetadata().add("x", FORMATS[RECORD["precision"]][0], self.shape)

    def infer_impl(self, feed_dict: Any) -> Any:
        """Run the model once."""
        start = time.perf_counter()
        with np.errstate(all="ignore"):
            arrays: Any = self.evaluator.run(None, {"x": feed_dict["x"].view(self.dtype)})
        self.inference_time = time.perf_counter() - start
        # A bf16 array is of a type that NumPy only knows by its size.
        dtype = FORMATS[RECORD["precision"]][0]
        outputs = {}
        for index, name in enumerate(self.evaluator.output_names):
            array = np.asarray(arrays[index])
            outputs[name] = array.view(dtype) if array.dtype == self.dtype else array
        return outputs

    def deactivate_impl(self) -> None:
        """Drop the model."""
        del self.evaluator


def main() -> int:
    """Run the reference evaluator against the golden outputs; 1 on a mismatch, else 0."""
    inputs, iterations = _load()
    golden = RunResults([("oracle", iterations)])
    results = Comparator.run([ReferenceRunner(name="reference")], data_loader=inputs)
    return 0 if Comparator.compare_accuracy([results, golden], compare_func=compare_outputs) else 1


if __name__ == "__main__":
    sys.exit(main())
