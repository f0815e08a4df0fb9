"""Faults to plant, one at a time, in the engine, the rules, what is composed of them, and what trains with them.

Each is a small, plausible slip: a sign, a factor, a missing case, an order.  ``tests``, folders or files, is where it should
be noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "tests/engine"
OPS = "tests/ops"
BN = "tests/functional tests/nn"


@dataclass(frozen=True)
class Fault:
    """Replace ``right`` (which stands exactly once in ``file``) by ``wrong``."""

    file: str
    right: str
    wrong: str
    slip: str
    tests: str


FAULTS = (
    Fault("engine/sweep.py", 'key=attrgetter("stamp"), reverse=True', 'key=attrgetter("stamp"), reverse=False',
          "operations visited in the order of creation", ENGINE),
    Fault("engine/sweep.py", "pending[arg] = cotangent if before is None else before + cotangent",
          "pending[arg] = cotangent", "a second use overwrites the first one's gradient", ENGINE),
    Fault("engine/sweep.py", "if arg.stamp > stamp:", "if arg.stamp < 0:", "changed inputs go unnoticed", ENGINE),
    Fault("engine/sweep.py", "variable.inputs = FREED", "variable.inputs = variable.inputs",
          "the graph is never freed", ENGINE),
    Fault("engine/unbroadcast.py", "for axis, size in enumerate(shape) if size == 1 and",
          "for axis, size in enumerate(shape) if size == 0 and",
          "axes of length 1 are not summed", f"{ENGINE} {OPS}"),
    Fault("engine/unbroadcast.py", "elif cotangent.dtype != argument.dtype:", "elif False:",
          "a gradient keeps the result's dtype", f"{ENGINE} {OPS}"),
    Fault("engine/primitive.py", "if arg._requires_grad:", "if arg._requires_grad and arg.inputs is None:",
          "results of operations count as constants", ENGINE),
    Fault("engine/primitive.py", "    if owner is not None:\n        array = array.copy()",
          "    if owner is None:\n        array = array.copy()",
          "a constant that can still be written to is not copied", ENGINE),
    Fault("engine/write.py", "        if not value.flags.writeable:\n            return value", "        return value",
          "a value that somebody can still write to is not copied", f"{ENGINE} {BN}"),
    Fault("ops/primitives/arithmetic.py", "lambda g, out, x, y: -g,", "lambda g, out, x, y: g,",
          "the sign of what is subtracted", OPS),
    Fault("ops/primitives/arithmetic.py", "g * (out / -y)", "g * (out / y)",
          "the sign of a divisor's gradient", OPS),
    Fault("ops/primitives/arithmetic.py", "lambda g, out, x: g * x * 2.0,", "lambda g, out, x: g * x,",
          "the factor 2 of a square", OPS),
    Fault("ops/primitives/elementary.py", "lambda g, out, x: g * (1.0 - out * out)", "lambda g, out, x: g * (1.0 - out)",
          "tanh without its square", OPS),
    Fault("ops/primitives/elementary.py", "lambda g, out, x: g * 0.5 / out", "lambda g, out, x: g * 0.5 / x",
          "sqrt by its argument, not its result", OPS),
    Fault("ops/primitives/compare.py", "lambda g, out, condition, x, y: where(condition, 0.0, g),",
          "lambda g, out, condition, x, y: where(condition, g, 0.0),", "where: the other branch", OPS),
    Fault("ops/primitives/linalg.py", "lambda g, out, x, y: x.swapaxes(-1, -2) @ g,",
          "lambda g, out, x, y: (x.swapaxes(-1, -2) @ g).swapaxes(-1, -2) if x.shape[-1] == g.shape[-1]"
          " else x.swapaxes(-1, -2) @ g,", "matmul: a transposition too much, for square matrices", OPS),
    Fault("ops/primitives/index.py", "np.add.at(out, full_index(pattern, arrays), x)",
          "out[full_index(pattern, arrays)] += x", "repeated indices overwrite instead of adding up", OPS),
    Fault("ops/primitives/reduce.py", "reverse=not reverse", "reverse=reverse", "cumsum summed from the same end", OPS),
    Fault("ops/primitives/shape.py", "g.transpose(inverse(axes))", "g.transpose(axes)",
          "transpose undone by itself, for three axes", OPS),
    Fault("ops/composed/reductions.py", "/ float(n - ddof)", "/ float(n)", "var forgets ddof", OPS),
    Fault("ops/primitives/window.py", "out[place] += x", "out[place] = x", "overlapping windows overwrite", OPS),
    Fault("functional/batch_norm.py", "x_hat = centred / ops.sqrt(variance + eps)",
          "x_hat = centred / (ops.sqrt(variance) + eps)", "eps outside the root", BN),
    Fault("functional/batch_norm.py", "variance = ops.mean(ops.square(centred), axes, keepdims=True)",
          "variance = ops.stop_gradient(ops.mean(ops.square(centred), axes, keepdims=True))",
          "no gradient through the variance", BN),
    Fault("functional/batch_norm.py", "n / (n - 1), momentum)", "1.0, momentum)", "the biased variance is stored", BN),
    Fault("nn/module.py", "module.training = mode", "self.training = mode", "eval() stops at the first level", BN),
    # -- seven that survived somebody else's mutations once
    Fault("engine/write.py", " and value.strides == old.strides", "", "memory order is not kept by .data =",
          "tests/engine/test_engine_mutation.py tests/engine/test_engine_layout.py"),
    Fault("ops/composed/reductions.py", '"logsumexp"), -limit, limit)', '"logsumexp"), -0.5 * limit, 0.5 * limit)',
          "logsumexp gives up at half of the float range", "tests/ops/test_op_edges.py"),
    Fault("optim/sgd.py", '"dampening": (-math.inf', '"dampening": (0.0', "a negative dampening is refused",
          "tests/optim/test_sgd.py"),
    Fault("optim/optimizer.py", 'group.pop("initial_lr", None)', 'group.get("initial_lr", None)',
          "a stale initial_lr outlives loading", "tests/optim/test_schedules.py"),
    Fault("graph/labels.py", "len(safe) <= longest", "len(safe) < longest", "a name just at its limit is cut",
          "tests/graph/test_draw.py tests/graph/test_labels.py"),
    Fault("graph/dot.py", "= known[:same]", "= known", "a parameter shared by two scopes stays in the first one",
          "tests/graph/test_draw.py tests/graph/test_labels.py"),
    Fault("functional/convolution.py", "(total // 2, total - total // 2)", "(total - total // 2, total // 2)",
          '"same": the odd zero at the wrong end', "tests/functional/test_convolution.py"),
    # -- operations
    Fault("ops/composed/reductions.py", "positive = primitives.where(zero, 1.0, s)", "positive = s",
          "std: a gradient of NaN where all are equal", "tests/ops/test_op_edges.py tests/ops/test_kinks.py"),
    Fault("ops/composed/reductions.py", "            if odd:", "            if odd and n > 3:",
          "prod loses the last of three", "tests/ops/test_op_axes.py"),
    Fault("ops/composed/reductions.py", "shifted - primitives.log(primitives.sum(primitives.exp(shifted)",
          "shifted - primitives.log(primitives.sum(primitives.exp(x)", "log_softmax: the shift taken once only",
          "tests/ops/test_op_derivatives.py"),
    Fault("ops/composed/shaping.py", "cut = -s % shape[a]", "cut = s % shape[a]", "roll to the other side",
          "tests/ops/test_shaping.py"),
    Fault("ops/composed/shaping.py", "np.repeat(np.arange(shape[axis]), counts)",
          "np.tile(np.arange(shape[axis]), counts[0])", "repeat in the order of tile", "tests/ops/test_shaping.py"),
    Fault("ops/composed/shaping.py", "k=k - 1", "k=k", "triu without the diagonal", "tests/ops/test_shaping.py"),
    Fault("ops/composed/shaping.py", "in sorted(zip(targets, sources))", "in zip(targets, sources)",
          "moveaxis in the order given", "tests/ops/test_shaping.py"),
    Fault("ops/composed/shaping.py", "builtin_max(-offset, 0), builtin_max(offset, 0)",
          "builtin_max(offset, 0), builtin_max(-offset, 0)", "diagonal: offsets to the other side",
          "tests/ops/test_shaping.py"),
    Fault("ops/composed/shaping.py", "slice(a, a + n) for n, (a, _)", "slice(b, b + n) for n, (_, b)",
          "pad: before and after exchanged", "tests/ops/test_shaping.py"),
    Fault("ops/composed/products.py", "sorted(c for c in set(letters) if", "list(c for c in letters if",
          "einsum: letters of the output as they come", "tests/ops/test_products.py"),
    Fault("ops/composed/indexing.py", 'pattern.extend(["array"] * len(found))', 'pattern.append("array")',
          "a mask over two axes counts as one", "tests/ops/test_indexing.py"),
    Fault("ops/primitives/compare.py", "where(logical_and(less(x, low), less_equal(low, high)), g, 0.0)",
          "where(less(x, low), g, 0.0)", "clip: crossed bounds", "tests/ops/test_op_edges.py tests/ops/test_kinks.py"),
    Fault("ops/primitives/elementary.py", "sqrt(x - 1.0) * sqrt(x + 1.0)", "sqrt(x * x - 1.0)",
          "arccosh overflows where its argument is large", "tests/ops/test_op_edges.py"),
    Fault("ops/primitives/arithmetic.py", "power_constant(x, exponent=exponent - 1 if exponent else 1)",
          "power_constant(x, exponent=exponent - 1)", "x**0: 0 times infinity at 0", "tests/ops/test_kinks.py"),
    # -- formulas
    Fault("functional/padding.py", "list(zip(given[0::2], given[1::2]))[::-1]", "list(zip(given[0::2], given[1::2]))",
          "pad: the last axis is not the first pair", "tests/functional/test_small_functions.py"),
    Fault("functional/pooling.py", "(count - 1) * step >= size + margin", "(count - 1) * step > size + margin",
          "ceil_mode: a window that starts in the padding", "tests/functional/test_pooling.py"),
    Fault("functional/pooling.py", "position < -(-(i + 1) * length // size)", "position < (i + 1) * length // size",
          "adaptive pooling: tiles that should overlap", "tests/functional/test_pooling.py"),
    Fault("functional/pooling.py", "high) - np.maximum(start, low)", "high) - start",
          "averages count what lies before the image", "tests/functional/test_pooling.py"),
    Fault("functional/norms.py", "x / ops.sqrt(mean_square + eps)", "x / (ops.sqrt(mean_square) + eps)",
          "rms_norm: eps outside the root", "tests/functional/test_norm_family.py"),
    Fault("functional/norms.py", "tuple(range(2, len(grouped)))", "tuple(range(1, len(grouped)))",
          "group_norm over all groups", "tests/functional/test_norm_family.py"),
    Fault("functional/elementwise_losses.py", "limited * (difference - limited * 0.5)", "limited * (difference * 0.5)",
          "huber: half as steep outside", "tests/functional/test_elementwise_losses.py"),
    Fault("functional/elementwise_losses.py", "ops.less_equal(p, math.exp(-100.0))", "ops.less_equal(p, 0.0)",
          "binary cross-entropy: the limit at exactly 0 only", "tests/functional/test_elementwise_losses.py"),
    Fault("functional/losses.py", "spread * (rule.smoothing / classes)", "spread * rule.smoothing",
          "label smoothing: not shared among the classes", "tests/functional/test_class_losses.py"),
    Fault("functional/embedding.py", "return ops.where(filler, ops.stop_gradient(rows), rows)", "return rows",
          "the padding row is trained", "tests/functional/test_small_functions.py"),
    # -- layers, optimization, data, training
    Fault("nn/init.py", "return tensor.shape[1] * window, tensor.shape[0] * window",
          "return tensor.shape[0] * window, tensor.shape[1] * window", "fan_in and fan_out exchanged",
          "tests/nn/test_initialization.py"),
    Fault("nn/init.py", "np.where(np.diagonal(r) < 0, -1.0, 1.0)", "1.0", "orthogonal, but not uniformly so",
          "tests/nn/test_initialization.py"),
    Fault("nn/init.py", "0.01 if param is None", "0.0 if param is None", "leaky_relu's gain: no slope by default",
          "tests/nn/test_initialization.py"),
    Fault("optim/clip.py", "if not factor >= 1.0:", "if factor < 1.0:", "a NaN passes for a small norm",
          "tests/optim/test_clip.py"),
    Fault("optim/clip.py", "np.clip(p.grad._data, -bound, bound)", "np.minimum(p.grad._data, bound)",
          "clip_grad_value_ from above only", "tests/optim/test_clip.py"),
    Fault("data/loader.py", "-(-rows // self.batch_size)", "rows // self.batch_size + 1",
          "an empty batch at the end", "tests/data/test_dataset_and_loader.py"),
    Fault("data/loader.py", "np.random.default_rng([self.seed, epoch])", "np.random.default_rng([self.seed])",
          "each epoch in the same order", "tests/data/test_dataset_and_loader.py"),
    Fault("data/scaling.py", "(rows.max(0) == rows.min(0)) | (std == 0.0)", "std == 0.0",
          "a constant column is divided by rounding", "tests/data/test_splits_and_scaling.py"),
    Fault("data/splits.py", "        sizes[i] += 1", "        sizes[0] += 1", "all rows left over go to the first part",
          "tests/data/test_splits_and_scaling.py"),
    Fault("data/splits.py", ", rng.integers(len(dataset)))", ", 0)",
          "stratified: the first rows of a label are always in the first part", "tests/data/test_splits_and_scaling.py"),
    Fault("train/evaluation.py", "module.training = training", "module.training = True",
          "evaluation leaves everything in training mode", "tests/train/test_fit.py"),
)  # fmt: skip
