"""What is exported computes what eager code computes, in two runtimes that share no code with it, at several batch sizes."""

from functools import lru_cache

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import DIFFERENTIABLE, Case
from tests.program.bits import flat
from tests.program.training import stepping
from tinygrad_bn import nn, ops, optim, program
from tinygrad_bn.errors import ArgumentError, FileError, MissingPackageError
from tinygrad_bn.onnx import export, to_model

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
runtime = pytest.importorskip("onnxruntime")
runtime.set_default_logger_severity(3)  # it warns of initializers that are inputs, too, which is what they are for

TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)


@lru_cache(maxsize=1)
def _session(content):
    return runtime.InferenceSession(content, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def _evaluator(content):
    return reference.ReferenceEvaluator(onnx.load_model_from_string(content))


def by_runtime(model, feeds):
    found = _session(model.SerializeToString(deterministic=True)).run(None, feeds)
    return dict(zip([o.name for o in model.graph.output], found))


def by_reference(model, feeds):
    with np.errstate(all="ignore"):
        found = _evaluator(model.SerializeToString(deterministic=True)).run(None, feeds)
    return dict(zip([o.name for o in model.graph.output], found))


BOTH = (by_runtime, by_reference)


def agree(got, expected, tolerance, name=""):
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype), name
    scale = max(1.0, float(np.abs(np.where(np.isfinite(expected), expected, 0)).max(initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=2 * tolerance, atol=tolerance * scale, err_msg=name)


def numbers(shape, seed, dtype):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


IMAGE, ROW, SEQUENCE, VOLUME = (4, 6, 6), (4,), (4, 7), (2, 4, 4, 4)
LAYERS = {
    "Linear": (lambda d: nn.Linear(4, 3, dtype=d), ROW),
    "Linear without bias": (lambda d: nn.Linear(4, 3, bias=False, dtype=d), ROW),
    "BatchNorm1d": (lambda d: nn.BatchNorm1d(4, dtype=d), ROW),
    "BatchNorm1d of sequences": (lambda d: nn.BatchNorm1d(4, dtype=d), SEQUENCE),
    "BatchNorm1d, plain average": (lambda d: nn.BatchNorm1d(4, momentum=None, dtype=d), ROW),
    "BatchNorm1d, no statistics": (lambda d: nn.BatchNorm1d(4, track_running_stats=False, dtype=d), ROW),
    "BatchNorm2d": (lambda d: nn.BatchNorm2d(4, dtype=d), IMAGE),
    "BatchNorm3d": (lambda d: nn.BatchNorm3d(2, affine=False, dtype=d), VOLUME),
    "LayerNorm": (lambda d: nn.LayerNorm(6, dtype=d), IMAGE),
    "RMSNorm": (lambda d: nn.RMSNorm(6, dtype=d), IMAGE),
    "GroupNorm": (lambda d: nn.GroupNorm(2, 4, dtype=d), IMAGE),
    "InstanceNorm1d": (lambda d: nn.InstanceNorm1d(4, dtype=d), SEQUENCE),
    "InstanceNorm2d": (lambda d: nn.InstanceNorm2d(4, affine=True, track_running_stats=True, dtype=d), IMAGE),
    "InstanceNorm3d": (lambda d: nn.InstanceNorm3d(2, dtype=d), VOLUME),
    "Conv1d": (lambda d: nn.Conv1d(4, 2, 3, stride=2, padding=1, dtype=d), SEQUENCE),
    "Conv2d": (lambda d: nn.Conv2d(4, 2, 3, padding=1, dtype=d), IMAGE),
    "Conv2d, groups": (lambda d: nn.Conv2d(4, 4, 3, stride=2, dilation=2, groups=2, dtype=d), IMAGE),
    "Conv3d": (lambda d: nn.Conv3d(2, 2, 2, dtype=d), VOLUME),
    "ConvTranspose1d": (lambda d: nn.ConvTranspose1d(4, 2, 3, stride=2, dtype=d), SEQUENCE),
    "ConvTranspose2d": (lambda d: nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1, dtype=d), IMAGE),
    "ConvTranspose3d": (lambda d: nn.ConvTranspose3d(2, 2, 2, dtype=d), VOLUME),
    "MaxPool1d": (lambda d: nn.MaxPool1d(2), SEQUENCE),
    "MaxPool2d": (lambda d: nn.MaxPool2d(3, stride=2, padding=1), IMAGE),
    "MaxPool3d": (lambda d: nn.MaxPool3d(2), VOLUME),
    "AvgPool1d": (lambda d: nn.AvgPool1d(2), SEQUENCE),
    "AvgPool2d": (lambda d: nn.AvgPool2d(3, padding=1, count_include_pad=False), IMAGE),
    "AvgPool3d": (lambda d: nn.AvgPool3d(2), VOLUME),
    "AdaptiveAvgPool1d": (lambda d: nn.AdaptiveAvgPool1d(3), SEQUENCE),
    "AdaptiveAvgPool2d": (lambda d: nn.AdaptiveAvgPool2d((2, 5)), IMAGE),
    "AdaptiveAvgPool3d": (lambda d: nn.AdaptiveAvgPool3d(1), VOLUME),
    "ELU": (lambda d: nn.ELU(), ROW),
    "GELU": (lambda d: nn.GELU(), ROW),
    "LeakyReLU": (lambda d: nn.LeakyReLU(), ROW),
    "LogSoftmax": (lambda d: nn.LogSoftmax(1), ROW),
    "ReLU": (lambda d: nn.ReLU(), ROW),
    "SiLU": (lambda d: nn.SiLU(), ROW),
    "Sigmoid": (lambda d: nn.Sigmoid(), ROW),
    "Softmax": (lambda d: nn.Softmax(1), ROW),
    "Softplus": (lambda d: nn.Softplus(), ROW),
    "Tanh": (lambda d: nn.Tanh(), ROW),
    "Flatten": (lambda d: nn.Flatten(), IMAGE),
    "Identity": (lambda d: nn.Identity(), ROW),
    "MLP": (
        lambda d: nn.Sequential(
            nn.Linear(4, 8, bias=False, dtype=d), nn.BatchNorm1d(8, dtype=d), nn.Tanh(), nn.Linear(8, 3, dtype=d)
        ),
        ROW,
    ),
    "conv net": (
        lambda d: nn.Sequential(
            nn.Conv2d(4, 3, 3, padding=1, bias=False, dtype=d), nn.BatchNorm2d(3, dtype=d), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4, dtype=d),
        ),
        IMAGE,
    ),
}  # fmt: skip


def moved(layer, seed=3):
    """The layer with parameters and statistics off their first values."""
    rng = np.random.default_rng(seed)
    state = layer.state_dict()
    layer.load_state_dict({
        name: value if value.dtype.kind == "i" else np.asarray(rng.uniform(0.5, 1.5, value.shape), value.dtype)
        for name, value in state.items()
    })  # fmt: skip
    return layer


@DTYPES
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_their_gradients(name, training, dtype):
    make, shape = LAYERS[name]
    layer = moved(make(dtype)).train(training)
    model = to_model(layer, numbers((5, *shape), 0, dtype), gradients=True)
    for n in (2, 5, 8):
        x = numbers((n, *shape), n, dtype)
        state = layer.state_dict()
        point = tg.Tensor(x, requires_grad=True)
        y = layer(point)
        cotangent = numbers(y.shape, n + 1, dtype)
        tensors = {"x": point, **dict(layer.named_parameters())}
        gradients = tg.grad(y, list(tensors.values()), cotangent)
        expected = {"output": y.data} | {f"{k}.grad": g.data for k, g in zip(tensors, gradients)}
        if training:
            after = layer.state_dict()
            moving = [b for b, _ in layer.named_buffers() if b + ".new" in {o.name for o in model.graph.output}]
            expected |= {f"{buffer}.new": after[buffer] for buffer in moving}
            assert moving == [b for b, _ in layer.named_buffers() if not np.array_equal(state[b], after[b])]
            layer.load_state_dict(state)
        for run in BOTH:
            got = run(model, {"x": x, "output.grad": cotangent})
            assert got.keys() == expected.keys()
            for key, value in expected.items():
                agree(
                    got[key],
                    value,
                    TOLERANCE[dtype] * (3 if key.endswith(".grad") else 1),
                    f"{run.__name__} {key} N={n}",
                )


def test_a_wrong_model_would_be_noticed():
    layer, x = nn.Linear(4, 3), numbers((5, 4), 0, np.float32)
    model = to_model(layer, x)
    for initializer in model.graph.initializer:
        initializer.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(initializer) * 1.001, initializer.name)
        )
    for run in BOTH:
        with pytest.raises(AssertionError):
            agree(run(model, {"x": x})["output"], layer(x).data, 1e-6)


@pytest.mark.parametrize("name", [n for n in nn.__all__ if n not in {
    "Module", "ModuleDict", "ModuleList", "Parameter", "Sequential", "functional_call", "init", "Dropout", "Embedding",
    "SyncBatchNorm",  # speaks to other processes
} and not n.endswith("Loss")])  # fmt: skip
def test_every_layer_is_among_them(name):
    assert any(key.split(",")[0].split(" ")[0] == name for key in LAYERS)


# -- losses, integers, draws --------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("name", [n for n in nn.__all__ if n.endswith("Loss")])
def test_losses(name, dtype):
    loss = getattr(nn, name)()
    is_index = name in ("CrossEntropyLoss", "NLLLoss")

    def batch(n):
        x = np.random.default_rng(n).uniform(0.1, 0.9, (n, 3)).astype(dtype)
        target = np.random.default_rng(n).integers(3, size=n) if is_index else x[::-1].copy()
        return (np.log(x) if name in ("KLDivLoss", "NLLLoss") else x), target

    model = to_model(loss, batch(5), gradients=True)
    names = [entry.name for entry in model.graph.input]
    for n in (2, 5, 8):
        x, target = batch(n)
        point = tg.Tensor(x, requires_grad=True)
        value = loss(point, target)
        for run in BOTH:
            got = run(model, dict(zip(names, (x, target))))
            agree(got["output"], value.data, TOLERANCE[dtype])
            agree(got[f"{names[0]}.grad"], tg.grad(value, point, retain_graph=True).data, 3 * TOLERANCE[dtype])


def test_integer_inputs_and_rows_out_of_a_table():
    layer = nn.Embedding(7, 3, padding_idx=1)
    labels = np.array([[0, 1, 6], [2, 2, 5]])
    model = to_model(layer, labels, gradients=True)
    for n in (1, 2, 4):
        x = np.random.default_rng(n).integers(7, size=(n, 3))
        y = layer(x)
        cotangent = numbers(y.shape, n, np.float32)
        (gradient,) = tg.grad(y, [layer.weight], cotangent)
        for run in BOTH:
            got = run(model, {"x": x, "output.grad": cotangent})
            agree(got["output"], y.data, 1e-6)
            agree(got["weight.grad"], gradient.data, 1e-6)
    for outside in (-1, 7):
        for run in BOTH:
            with pytest.raises(Exception, match=r"(?i)out of|bound|invalid"):
                run(model, {"x": np.array([[outside, 0, 0]]), "output.grad": numbers((1, 3, 3), 0, np.float32)})


def test_dropout_is_nothing_in_evaluation_and_draws_in_training():
    layer = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 2)).eval()
    model = to_model(layer, numbers((4, 50), 0, np.float32))
    assert not [n for f in model.functions for n in f.node if n.op_type not in ("Linear", "Transpose", "MatMul", "Add")]
    drawn = to_model(nn.Dropout(0.5), numbers((4, 50), 0, np.float32))
    y = by_runtime(drawn, {"x": np.ones((40, 50), np.float32)})["output"]
    assert set(np.unique(y)) == {0.0, 2.0}
    assert 0.4 < (y == 0).mean() < 0.6


# -- the batch axis -----------------------------------------------------------------------------------------------------


def test_what_depends_on_the_batch_is_refused_by_name():
    with pytest.raises(ArgumentError, match="cannot be free") as error:
        to_model(lambda x: x * np.arange(6.0)[:, None], np.ones((6, 3)))
    assert "dynamic=False" in str(error.value)
    model = to_model(lambda x: x * np.arange(6.0)[:, None], np.ones((6, 3)), dynamic=False)
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [6, 3]


def test_windows_along_the_batch_are_refused():
    with pytest.raises(ArgumentError, match="windows along the free axis"):
        to_model(lambda x: ops.sliding_window(x, 2), np.ones(6))


def test_the_axis_has_a_name_and_outputs_their_own_lengths():
    model = to_model(
        lambda x: (ops.concatenate([x, x]), x[1:], x.reshape(-1), x * len(x)), np.ones((6, 3)), dynamic="batch"
    )
    dims = [[d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output]
    assert dims == [["2batch", 3], ["batch-1", 3], ["3batch"], ["batch", 3]]
    assert [o.name for o in model.graph.output] == ["output.0", "output.1", "output.2", "output.3"]
    x = numbers((9, 3), 0, np.float64)
    for run in BOTH:
        for got, value in zip(run(model, {"x": x}).values(), (np.concatenate([x, x]), x[1:], x.reshape(-1), x * 9)):
            agree(got, value, 1e-12)


SLICES = {
    "all but the first": lambda x: x[1:], "all but the last": lambda x: x[:-1], "some": lambda x: x[1:3],
    "the last": lambda x: x[-1], "backwards": lambda x: x[::-1], "every other column": lambda x: x[:, ::2],
    "columns backwards": lambda x: x[:, ::-1], "a new axis": lambda x: x[:, None, 1], "points": lambda x: x[[0, 1], [2, 3]],
    "columns by position": lambda x: x[:, [3, 0, 3]], "the ends": lambda x: ops.pad(x, [(0, 0), (1, 2)], 3.0),
    "a column for each": lambda x: ops.take_along_axis(x, np.array([[0, 2]]), 1), "a matrix": lambda x: ops.diag(x[0]),
    "the sum of rows": lambda x: x + ops.sum(x, axis=0), "triangle": lambda x: ops.tril(x), "sorted": lambda x: ops.sort(x),
    "rows and rows": lambda x: ops.tile(x, (2, 1)), "by columns": lambda x: x.T @ x, "rolled": lambda x: ops.roll(x, 1, axis=1),
}  # fmt: skip


@pytest.mark.parametrize("name", SLICES)
def test_elements_along_the_free_axis_and_their_gradients(name):
    function = SLICES[name]
    example = numbers((6, 4), 0, np.float64)
    if name == "backwards":  # right or refused
        with pytest.raises(ArgumentError, match="a slice with steps along the free axis"):
            to_model(function, example, gradients=True)
        return
    model = to_model(function, example, gradients=True)
    for n in (4, 6, 9):
        x = numbers((n, 4), n, np.float64)
        point = tg.Tensor(x, requires_grad=True)
        y = function(point)
        cotangent = numbers(y.shape, 1, np.float64)
        for run in BOTH:
            got = run(model, {"x": x, "output.grad": cotangent})
            agree(got["output"], y.data, 1e-12)
            agree(got["x.grad"], tg.grad(y, point, cotangent, retain_graph=True).data, 1e-12)


# -- operations ---------------------------------------------------------------------------------------------------------

NO_COUNTERPART = {"arctan2", "solve", "inv", "det", "logabsdet", "cholesky", "eigvalsh", "eigenvectors"}


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_every_operation_to_the_second_order(case: Case):
    inputs, cotangent = case.example(1, np.float32)
    function = lambda inputs, g: [v for v in flat(case.both_orders(inputs, g)).values() if v is not None]  # noqa: E731
    recorded = program.record(function, inputs, cotangent, free=False)
    missing = {step.primitive.name for step in recorded.steps} & NO_COUNTERPART
    if missing:
        with pytest.raises(ArgumentError, match=f"({'|'.join(missing)}) has no counterpart"):
            to_model(recorded, dynamic=False)
        return
    model = to_model(recorded, dynamic=False)
    feeds = dict(zip([entry.name for entry in recorded.inputs], [*inputs, cotangent]))
    for got, value in zip(by_runtime(model, feeds).values(), recorded.run(inputs, cotangent)):
        agree(got, value, 3e-5)


def test_numbers_at_the_edges():
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 40.0, -40.0, 1.0, -1.0, 5e-8]
    x = np.array(edges)
    for function in (ops.log1p, ops.expm1, ops.relu, ops.trunc, ops.isfinite, ops.erf, ops.sign, ops.abs, ops.square):
        with np.errstate(all="ignore"):
            model = to_model(function, x)
            expected = np.asarray(function(x))
        for run in BOTH:
            (got,) = run(model, {model.graph.input[0].name: x}).values()
            np.testing.assert_allclose(got, expected, rtol=3e-15, err_msg=f"{function} {run.__name__}")
    pairs = [np.repeat(x, len(x)), np.tile(x, len(x))]
    for function in (ops.maximum, ops.hypot, ops.remainder, ops.logaddexp):
        with np.errstate(all="ignore"):
            expected = function(*pairs)
            model = to_model(lambda x, y, f=function: f(x, y), tuple(pairs))
        keep = (np.isfinite(pairs[0]) & np.isfinite(pairs[1])) | (function is ops.maximum)
        for run in BOTH:
            (got,) = run(model, dict(zip("xy", pairs))).values()
            np.testing.assert_allclose(got[keep], expected[keep], rtol=3e-15, err_msg=f"{function} {run.__name__}")


@pytest.mark.parametrize("kind", ["int64", "int32", "bool", "float32"])
def test_mixed_dtypes_are_promoted_as_numpy_does(kind):
    x, other = numbers((4, 3), 0, np.float32), np.array([[0], [3], [2], [1]]).astype(kind)
    functions = [
        lambda x, k: x * k, lambda x, k: x > k, lambda x, k: k * 2, lambda x, k: k / 2.0, lambda x, k: k == 1,
        lambda x, k: ops.sum(k), lambda x, k: ops.mean(k), lambda x, k: ops.where(k, x, 0.0), lambda x, k: ops.any(k),
        lambda x, k: ops.maximum(k, k), lambda x, k: ops.isfinite(k), lambda x, k: ops.argmax(k),
    ]  # fmt: skip
    for function in functions:
        model = to_model(function, (x, other))
        expected = function(tg.Tensor(x), tg.Tensor(other)).data
        for run in BOTH:
            (got,) = run(model, {"x": x, "k": other}).values()
            agree(got, expected, 1e-6)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("function", [ops.argmax, ops.argmin], ids=["argmax", "argmin"])
def test_positions_along_every_axis(function, axis, keepdims):
    x = numbers((3, 4, 5), 0, np.float32)
    model = to_model(lambda x: function(x, axis=axis, keepdims=keepdims), (x,))
    for run in BOTH:
        (got,) = run(model, {"x": x}).values()
        agree(got, function(x, axis=axis, keepdims=keepdims), 0)


# -- the file -----------------------------------------------------------------------------------------------------------


def test_functions_are_nested_as_modules_and_formulas_are():
    net = LAYERS["MLP"][0](np.float32)
    model = to_model(net, numbers((5, 4), 0, np.float32))
    (call,) = [node for node in model.graph.node if node.domain]
    functions = {f.name: f for f in model.functions}
    assert call.op_type == "Sequential"
    inside = [(node.name, node.op_type) for node in functions["Sequential"].node]
    assert inside == [("0", "Linear"), ("1", "BatchNorm1d"), ("2", "Tanh"), ("3", "Linear_2")]
    assert [node.op_type for node in functions["BatchNorm1d"].node if node.domain] == [
        "mean", "variance", "normalize", "running_statistics", "scale_and_shift",
    ]  # fmt: skip
    assert "ReduceMean" in {node.op_type for node in functions["variance"].node}
    assert not {node.op_type for node in model.graph.node if not node.domain} - {"Shape"}
    net.eval()
    state = net.state_dict()
    tensors = {
        t.name: onnx.numpy_helper.to_array(t) for t in to_model(net, numbers((5, 4), 0, np.float32)).graph.initializer
    }
    assert tensors.keys() == state.keys() - {"1.num_batches_tracked"}
    for name, value in tensors.items():
        np.testing.assert_array_equal(value, state[name])


def test_equal_layers_share_a_function():
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
    assert [f.name for f in to_model(net, numbers((5, 4), 0, np.float32)).functions] == ["Linear", "Sequential"]


def test_the_backward_pass_has_boxes_of_its_own():
    model = to_model(LAYERS["MLP"][0](np.float32), numbers((5, 4), 0, np.float32), gradients=True)
    assert [node.op_type for node in model.graph.node if node.domain] == ["Sequential", "backward"]
    names = {f.name for f in model.functions}
    assert names >= {"Sequential_backward", "BatchNorm1d_backward", "variance_backward", "Linear_backward"}


def test_names_full_of_quotes():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, 'a "quoted" näme', nn.Linear(2, 2))

        def forward(self, x):
            with tg.scope("mean of 'x' / 2"):
                x = x * 2.0
            return {'the "first"': getattr(self, 'a "quoted" näme')(x)}

    net, x = Odd(), numbers((3, 2), 0, np.float32)
    model = to_model(net, x)
    for run in BOTH:
        (got,) = run(model, {"x": x}).values()
        agree(got, next(iter(net(x).values())).data, 1e-6)


def test_a_training_step_runs_elsewhere_step_after_step():
    def make():
        net = moved(LAYERS["MLP"][0](np.float32))
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        return net, stepping(net, optimizer)

    (net, step), (other, exported) = make(), make()
    batches = [(numbers((n, 4), n, np.float32), np.arange(n) % 3) for n in (6, 9, 4)]
    model = to_model(exported, batches[0], module=other)
    feeds = {}
    for x, labels in batches:
        loss = step(x, labels)
        got = by_runtime(model, {"x": x, "labels": labels, **feeds})
        agree(got["output"], loss.data, 1e-5)
        fed = {i.name for i in model.graph.input}
        feeds = {k.removesuffix(".new"): v for k, v in got.items() if k.removesuffix(".new") in fed - {"lr"}}
    for name, value in net.state_dict().items():
        agree(feeds[name], value, 1e-5, name)


def test_nothing_is_written_when_it_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ArgumentError):
        export(lambda x: ops.arctan2(x, x), np.ones(3), path)
    assert path.read_bytes() == b"before"
    with pytest.raises(FileError):
        export(nn.Linear(2, 2), np.ones((1, 2)), tmp_path / "none" / "m.onnx")
    assert export(nn.Linear(2, 2), numbers((3, 2), 0, np.float32), path) == path
    onnx.checker.check_model(str(path), full_check=True)


def test_what_cannot_be_exported_is_said():
    with pytest.raises(ArgumentError, match="no output has a gradient"):
        to_model(lambda k: k + 1, np.arange(3), gradients=True)
    with pytest.raises(ArgumentError, match="a program is exported as it is"):
        to_model(program.record(ops.exp, np.ones(3)), np.ones(3))
    own = tg.Primitive("cube", lambda x: x**3, lambda g, out, x: g * 3.0 * x**2)
    with pytest.raises(ArgumentError, match="cube has no counterpart"):
        to_model(own, np.ones(3))


def test_functions_of_numbers_and_of_nothing():
    model = to_model(lambda x, y: x * y + x, (2.0, 3.0), gradients=True)
    for run in BOTH:
        got = run(model, {"x": np.array(4.0), "y": np.array(5.0)})
        assert {k: float(v) for k, v in got.items()} == {"output": 24.0, "x.grad": 6.0, "y.grad": 4.0}
    layer = nn.Linear(2, 2)
    model = to_model(lambda: layer.weight * 2.0)
    for run in BOTH:
        agree(run(model, {})["output"], layer.weight.data * 2, 1e-6)


def test_without_the_package_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx.checker", None)
    with pytest.raises(MissingPackageError, match=r"tinygrad-bn\[onnx\]"):
        to_model(nn.Linear(2, 2), np.ones((1, 2)))
