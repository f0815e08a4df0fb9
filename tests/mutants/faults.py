"""Faults to plant, one at a time, in the engine, the rules and what is composed of them.

Each is a small, plausible slip: a sign, a factor, a missing case, an order.  ``tests`` is where it should be noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "tests/engine"
OPS = "tests/ops"
BN = "tests/functional tests/nn"
NN = "tests/nn"


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
    Fault("engine/write.py", "value.flags.writeable or value.base is not None", "value.base is not None",
          "a value that somebody can still write to is not copied", f"{ENGINE} {BN}"),
    Fault("ops/primitives/arithmetic.py", "lambda g, out, x, y: -g,", "lambda g, out, x, y: g,",
          "the sign of what is subtracted", OPS),
    Fault("ops/primitives/arithmetic.py", "lambda g, out, x, y: g * out / -y,", "lambda g, out, x, y: g * out / y,",
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
    Fault("functional/batch_norm.py", "new * float(n) / float(n - 1)", "new * 1.0", "the biased variance is stored", BN),
    Fault("nn/module.py", "child.eval()", "pass", "eval() stops at the first level", NN),
    Fault("nn/module.py", "child.train()", "child.train(False)", "train() switches the children off", NN),
    Fault("nn/module.py", 'if child._has_own("load_state_dict"):', "if False:", "a child's own loading is passed over", NN),
    Fault("nn/module.py", "twin.__dict__.update({name: list(self.__dict__[name]) for name in OWN})", "pass",
          "a shallow copy shares the list of buffers", NN),
    Fault("nn/module.py", "given, value = value.name, value.detach()", "given = value.name",
          "a buffer keeps the graph of what was assigned to it", NN),
    Fault("nn/tree.py", "refuse_hidden(module, module.__dict__)", "pass", "a list filled later hides its modules", NN),
    Fault("nn/loading.py", "for tensor, data in before:", "for tensor, data in before[:0]:",
          "a load that fails half-way leaves half", NN),
    Fault("nn/hooks.py", "self._replaced.clear()", "pass", "a pass that failed leaves a stale gradient", NN),
    Fault("nn/hooks.py", "self._of_inputs.clear()", "pass", "hooks keep the last pass's gradients", NN),
    Fault("nn/functional_call.py", "if own[other] is own[name]:", "if other == name:",
          "a shared parameter is replaced once", NN),
    Fault("nn/functional_call.py", 'owner.__dict__["_stand_ins"] = owner._stand_ins | {attribute}', "pass",
          "a forward does not find the parameters it was given", NN),
    Fault("functional/pooling.py", "ops.matmul(tiles[-3], y)", "ops.matmul(tiles[-3][::-1], y)",
          "the depth of adaptive pooling is turned round", NN),
    Fault("functional/padding.py", "size - max(-after, 0)", "size - max(-before, 0)",
          "negative padding takes the same off both ends", BN),
    Fault("transforms.py", "if passed in reached:", "if False:", "a closure over what was passed gives zeros",
          "tests/test_transforms.py"),
    Fault("transforms.py", "arg._requires_grad = True", "pass", "a frozen variable is not watched", "tests/test_transforms.py"),
    Fault("optim/schedules.py", "self._set(self.last_epoch)", "pass", "a loaded schedule leaves a stale rate", "tests/optim"),
)  # fmt: skip
