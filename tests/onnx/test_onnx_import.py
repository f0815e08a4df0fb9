"""Models of other makers come in as programs: the values that the ONNX package expects, those of onnxruntime, and refusals."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import tinygrad_bn as tg
from tinygrad_bn import functional, graph, nn
from tinygrad_bn.errors import ArgumentError, FileError, TinygradError
from tinygrad_bn.onnx import export, import_program
from tinygrad_bn.onnx.counterparts import COUNTERPARTS

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper, parser, version_converter  # noqa: E402

PEERS = Path(onnx.__file__).parent / "backend" / "test" / "data"
MODELS = sorted(
    folder for part in ("pytorch-converted", "pytorch-operator", "simple") for folder in (PEERS / part).glob("test_*")
)
# What has no counterpart, or none for its settings, with the word that says so.
REFUSED = {
    "test_PReLU_1d_multiparam": "PRelu", "test_PReLU_2d_multiparam": "PRelu", "test_PReLU_3d_multiparam": "PRelu",
    "test_expand_shape_model1": "depends on the data", "test_expand_shape_model2": "depends on the data",
    "test_expand_shape_model3": "depends on the data", "test_expand_shape_model4": "depends on the data",
}  # fmt: skip


def read(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def test_the_models_are_there():
    assert len(MODELS) > 100


@pytest.mark.parametrize("folder", MODELS, ids=lambda f: f.name)
def test_models_of_the_onnx_package(folder):
    path = folder / "model.onnx"
    words = {op for op in _operators(path) if op not in COUNTERPARTS}
    expected_word = REFUSED.get(folder.name) or (words and "without a counterpart")
    if expected_word:
        with pytest.raises(ArgumentError) as error:
            import_program(path, _inputs(folder) or None)
        assert expected_word in str(error.value)
        assert all(word in str(error.value) for word in words)
        return
    inputs = _inputs(folder)
    with np.errstate(all="ignore"):
        got = import_program(path, inputs).run(*inputs)
    listed = got if isinstance(got, tuple) else (got,)
    outputs = [read(f) for f in sorted(folder.glob("test_data_set_0/output_*.pb"))]
    model = version_converter.convert_version(onnx.load(str(path)), 13)  # onnxruntime has forgotten the oldest opsets
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    theirs = session.run(None, dict(zip([e.name for e in session.get_inputs()], inputs)))
    for ours, value, other in zip(listed, outputs, theirs):
        assert (ours.shape, ours.dtype) == (value.shape, value.dtype)
        np.testing.assert_allclose(ours, value, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(ours, other, rtol=2e-5, atol=2e-6)


def _operators(path):
    model = onnx.load(str(path))
    return {node.op_type for node in model.graph.node}


def _inputs(folder):
    return [read(f) for f in sorted(folder.glob("test_data_set_0/input_*.pb"))]


@pytest.fixture(scope="module")
def node_tests():
    """The standard's own tests, by the operator that they are of."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    found = {}
    for case in cases:
        plain = case.model is not None and not case.name.endswith("_expanded") and len(case.model.graph.node) == 1
        if plain and "fp16" not in case.name and "float16" not in case.name and "uint64" not in case.name:
            found.setdefault(case.model.graph.node[0].op_type, []).append(case)
    return found


KNOWN_REFUSALS = (
    "counterpart", "depends on the data", "too few elements", "bfloat16", "dtype object", "operators without", "draws other",
)  # fmt: skip


@pytest.mark.parametrize("operator", sorted(COUNTERPARTS))
def test_operators_as_the_standard_tests_them(operator, node_tests, tmp_path):
    """Equal to the value that the standard's own tests expect; what is refused says why."""
    ran = 0
    for case in node_tests[operator]:
        inputs, outputs = case.data_sets[0]
        model, inputs = _with_known_integers(case.model, inputs)
        path = tmp_path / "m.onnx"
        path.write_bytes(model.SerializeToString())
        got = _run_or_refused(path, inputs)
        if isinstance(got, TinygradError):
            assert any(word in str(got) for word in KNOWN_REFUSALS), f"{case.name}: {got}"
            continue
        ran += 1
        for ours, value in zip(got if isinstance(got, tuple) else (got,), outputs):
            value = np.asarray(value)
            assert (np.shape(ours), np.asarray(ours).dtype) == (value.shape, value.dtype), case.name
            np.testing.assert_allclose(ours, value, rtol=max(case.rtol, 1e-4), atol=1e-6, err_msg=case.name)
    assert ran or operator in ("CastLike", "Cast"), f"no test of {operator} ran"


def _run_or_refused(path, inputs):
    try:
        with np.errstate(all="ignore"):
            return import_program(path, tuple(inputs)).run(*inputs)
    except TinygradError as error:
        return error


def _with_known_integers(model, inputs):
    """The tests pass shapes and axes as inputs; in a program they have to be known."""
    names = (
        "Reshape",
        "Expand",
        "Tile",
        "Slice",
        "Squeeze",
        "Unsqueeze",
        "Pad",
        "Split",
        "TopK",
        "CumSum",
        "Trilu",
        "Range",
    )
    kinds = {node.op_type for node in model.graph.node}
    if not (
        kinds & set(names) or any(kind.startswith(("Reduce", "Scatter", "ConstantOf", "OneHot")) for kind in kinds)
    ):
        return model, inputs
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    kept = []
    entries = list(fixed.graph.input)
    for i, (entry, value) in enumerate(zip(entries, inputs)):
        value = np.asarray(value)
        single = value.ndim == 0 and kinds & {"Pad", "OneHot", "Range"}
        if (i or kinds & {"Range", "ConstantOfShape"}) and (value.dtype.kind in "iu" or single):
            fixed.graph.initializer.append(numpy_helper.from_array(value, entry.name))
            fixed.graph.input.remove(entry)
        else:
            kept.append(value)
    return fixed, kept


# -- PyTorch ------------------------------------------------------------------------------------------------------------


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(10, 8)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        h = self.table(x)
        return self.attention(h, h, h, need_weights=False)[0]


def conv_net():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(36, 5), torch.nn.LayerNorm(5), torch.nn.GELU(), torch.nn.Softmax(-1),
    )  # fmt: skip


def from_torch(model, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        torch.onnx.export(model.eval(), (x,), str(path), dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
    return import_program(path)


def test_a_conv_net_of_torch_with_its_gradient(tmp_path):
    model = conv_net()
    program = from_torch(model, torch.randn(3, 1, 6, 6), tmp_path / "m.onnx")
    assert program.free
    x = np.random.default_rng(0).normal(size=(7, 1, 6, 6)).astype(np.float32)
    point = torch.tensor(x, requires_grad=True)
    theirs = model(point)
    np.testing.assert_allclose(program.run(x), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
    cotangent = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    theirs.backward(torch.tensor(cotangent))
    ours = tg.Tensor(x, requires_grad=True)
    program(ours).backward(cotangent)
    np.testing.assert_allclose(ours.grad.data, point.grad.numpy(), rtol=1e-4, atol=1e-6)
    assert "conv" in str(program).lower() or "matmul" in str(program)
    assert len(graph.trace(program).nodes) > 20


def test_attention_of_torch(tmp_path):
    model = Attention()
    program = from_torch(model, torch.randint(10, (3, 5)), tmp_path / "m.onnx")
    x = np.random.default_rng(0).integers(10, size=(7, 5))
    np.testing.assert_allclose(program.run(x), model(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


# -- ours, there and back -----------------------------------------------------------------------------------------------


def test_there_and_back(tmp_path):
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).eval()
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    path = export(net, x[:5], tmp_path / "m.onnx")
    program = import_program(path)
    np.testing.assert_array_equal(program.run(x), net(x).data)
    scopes = {step.scope for step in program.steps}
    assert ("Sequential", "1", "normalize") in scopes
    program(tg.Tensor(x, requires_grad=True)).sum().backward()
    names = {state.name for state in program.states}
    assert names == net.state_dict().keys() - {"1.num_batches_tracked"}
    weight = next(state for state in program.states if state.name == "3.weight").place.owner
    net(x).sum().backward()
    np.testing.assert_allclose(weight.grad.data, net[3].weight.grad.data, rtol=1e-5)


def test_the_backward_pass_there_and_back(tmp_path):
    x = np.random.default_rng(0).normal(size=(9, 4))
    cotangent = np.random.default_rng(1).normal(size=(9, 4))
    path = export(lambda x: functional.batch_norm(x, training=True), x, tmp_path / "m.onnx", gradients=True)
    value, gradient = import_program(path).run(x[:6], cotangent[:6])
    point = tg.Tensor(x[:6], requires_grad=True)
    y = functional.batch_norm(point, training=True)
    y.backward(cotangent[:6])
    np.testing.assert_allclose(value, y.data, rtol=1e-12)
    np.testing.assert_allclose(gradient, point.grad.data, rtol=1e-9, atol=1e-14)


# -- files that are no use ------------------------------------------------------------------------------------------------

GOOD = '<ir_version: 10, opset_import: ["" : 21]> g (float[N,3] x) => (float[N,3] y) { y = Relu (x) }'


def written(text, path, **changes):
    model = parser.parse_model(text)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("cut", [0, 1, 7, 30, 60, -1, -5])
def test_truncated_files(cut, tmp_path):
    content = parser.parse_model(GOOD).SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(content[:cut])
    with pytest.raises(ArgumentError, match="no ONNX model, or not a whole one"):
        import_program(path)


def test_every_flipped_byte_is_read_or_refused(tmp_path):
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    content = bytearray(export(net, np.ones((4, 3), np.float32), tmp_path / "m.onnx").read_bytes())
    path = tmp_path / "n.onnx"
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(len(content), size=120):
        changed = content.copy()
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            import_program(path)
        except TinygradError:
            refused += 1
    assert refused > 20


def test_no_file_a_folder_and_text(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        import_program(tmp_path / "none.onnx")
    with pytest.raises(FileError, match="cannot be read"):
        import_program(tmp_path)
    with pytest.raises(FileError, match="cannot be read"):
        import_program("a\0b")
    (tmp_path / "a.onnx").write_text("hello")
    with pytest.raises(ArgumentError, match="no ONNX model"):
        import_program(tmp_path / "a.onnx")


HEAD = '<ir_version: 10, opset_import: ["" : 21, "my" : 1]>'
HOSTILE = {
    "operators without a counterpart": (
        HEAD + "g (float[N,3] x) => (float[N,3] y) { a = Hardmax (x) b = my.Own (a) y = Det (b) }",
        "Det, Hardmax, my.Own",
    ),
    "a huge constant": (
        HEAD + "g (float[3] x) => (float[M] y) { s = Constant <value = int64[2] {1000000, 1000000}> () "
        "c = ConstantOfShape (s) y = Add (x, c) }",
        "too large",
    ),
    "a huge expansion": (
        HEAD
        + "g (float[1] x) => (float[A,B] y) { s = Constant <value = int64[2] {9999999, 9999999}> () y = Expand (x, s) }",
        "too large",
    ),
    "a huge padding": (
        HEAD + "g (float[1] x) => (float[A] y) { s = Constant <value = int64[2] {9999999999, 1}> () y = Pad (x, s) }",
        "too large",
    ),
    "a negative size": (
        HEAD + "g (float[3] x) => (float[M] y) { s = Constant <value = int64[1] {-5}> () y = ConstantOfShape (s) }",
        "too large",
    ),
    "an endless range": (
        HEAD
        + "g (float[3] x) => (int64[M] y) { a = Constant <value = int64 {0}> () d = Constant <value = int64 {0}> () "
        "b = Constant <value = int64 {5}> () y = Range (a, b, d) }",
        "Range",
    ),
    "a function that calls itself": (
        HEAD + "g (float[3] x) => (float[3] y) { y = my.f (x) } "
        '<domain: "my", opset_import: ["" : 21, "my" : 1]> f (x) => (y) { y = my.f (x) }',
        "calls itself|recursive|not a whole one",
    ),
    "shapes that do not fit": (
        HEAD + "g (float[N,3] x) => (float[N,3] y) { s = Constant <value = int64[2] {7, 11}> () y = Reshape (x, s) }",
        "Reshape",
    ),
    "text": (HEAD + "g (string[3] x) => (string[3] y) { y = Identity (x) }", "x"),
    "two open axes": (HEAD + "g (float[N,M] x) => (float[N,M] y) { y = Relu (x) }", "more than its first axis open"),
    "a size that depends on the data": (
        HEAD + "g (float[N] x, int64[1] s) => (float[M] y) { y = Reshape (x, s) }",
        "depends on the data",
    ),
    "a huge input": (HEAD + "g (float[9999999,9999999] x) => (float[9999999,9999999] y) { y = Relu (x) }", "too large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name, tmp_path):
    text, word = HOSTILE[name]
    with pytest.raises(ArgumentError, match=word):
        import_program(written(text, tmp_path / "m.onnx"))


def test_functions_that_double_sixty_times(tmp_path):
    functions = [
        helper.make_function("my", f"f{i}", ["x"], ["y"], [
            helper.make_node(f"f{i + 1}" if i < 60 else "Relu", ["x"], ["a"], domain="my" if i < 60 else ""),
            helper.make_node(f"f{i + 1}" if i < 60 else "Relu", ["a"], ["y"], domain="my" if i < 60 else ""),
        ], [helper.make_opsetid("", 21), helper.make_opsetid("my", 1)])
        for i in reversed(range(61))
    ]  # fmt: skip
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy")
    main = helper.make_graph([helper.make_node("f0", ["x"], ["y"], domain="my")], "g", [x], [y])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("my", 1)]
    model = helper.make_model(main, functions=functions, opset_imports=opsets, ir_version=10)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArgumentError, match="too many operators"):
        import_program(tmp_path / "m.onnx")


@pytest.mark.parametrize("place", ["an initializer", "a constant"])
def test_values_in_other_files_are_refused(place, tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy")
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    if place == "a constant":
        nodes = [helper.make_node("Constant", [], ["w"], value=tensor), *nodes]
    main = helper.make_graph(nodes, "g", [x], [y], [tensor] if place == "an initializer" else [])
    (tmp_path / "m.onnx").write_bytes(helper.make_model(main, ir_version=10).SerializeToString())
    with pytest.raises(ArgumentError, match="values in other files"):
        import_program(tmp_path / "m.onnx")


def test_a_tensor_shorter_than_it_says(tmp_path):
    model = parser.parse_model(
        HEAD + "g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add (x, w) }"
    )  # fmt: skip
    model.graph.initializer[0].CopyFrom(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], raw_data=b"\0\0"))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArgumentError):
        import_program(tmp_path / "m.onnx")


def test_examples_say_what_the_file_leaves_open(tmp_path):
    path = written(HEAD + "g (float[N,M] x) => (float[N,M] y) { y = Relu (x) }", tmp_path / "m.onnx")
    program = import_program(path, np.ones((2, 3), np.float32))
    assert program.free
    assert program.run(-np.ones((7, 3), np.float32)).sum() == 0
    with pytest.raises(ArgumentError, match="one example for each input"):
        import_program(path, (1.0, 2.0))
