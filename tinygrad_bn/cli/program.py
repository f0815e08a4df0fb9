"""The program that a command shows: which one, run on which arguments, and what it gave."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import Variable, record_sites
from ..errors import ArgumentError, explain
from ..functional import batch_norm
from ..nn import BatchNorm1d, Module
from ..tensor import Tensor, scalarize
from .find import call, find
from .inputs import as_tensor, numbers, shape, whole

ROWS, FEATURES, SEED = 4, 1, 0


@dataclass(frozen=True)
class Program:
    """A program that was run: what it gave, and its title."""

    outputs: Any
    inputs: list[Any]
    gradient: Any
    module: Module | None
    title: str
    rows: tuple[int, Callable[[int], tuple[Any, Any]]] | None = (
        None  # how many, and the same for another number of them
    )


def add_program_options(parser: argparse.ArgumentParser, target: str) -> None:
    """The options that say which program to run."""
    parser.add_argument("target", help=target)
    parser.add_argument("--rows", type=whole(1), help=f"for bn: size of the batch (default {ROWS})")
    parser.add_argument("--features", type=whole(1), help=f"for bn: number of features (default {FEATURES})")
    add_argument_options(parser)


def add_argument_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what a program is given."""
    parser.add_argument(
        "--shape", dest="given", type=shape, action="append", metavar="SHAPE",
        help="shape of an argument, such as 8,3, or 8,3:int for classes and indices; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--input", dest="given", type=numbers, action="append", metavar="NUMBERS",
        help="numbers of an argument, such as 0,1,2 or 1,2;3,4 (negative first: --input=-1,2), or a .npy file; repeatable",
    )  # fmt: skip
    parser.add_argument("--seed", type=whole(0), help=f"seed of the random numbers (default {SEED})")


def refuse_unused(arguments: argparse.Namespace, target: str, **options: str) -> None:
    """Options that have no effect on this target: an error is better than ignoring them.

    Args:
        arguments: of the command line.
        target: what they mean nothing for.
        options: the name in ``arguments`` to the option as it is typed.

    Raises:
        ArgumentError: one of them was given.
    """
    given = [option for name, option in options.items() if getattr(arguments, name, None) is not None]
    if given:
        raise ArgumentError(explain(f"{' and '.join(given)} would have no effect on {target}", fix="leave it out"))


def load_program(arguments: argparse.Namespace, on_scalars: bool = False) -> Program:
    """Run what the options name."""
    function, inputs, title = chosen(arguments)
    names = [f"x{i}" if len(inputs) > 1 else "x" for i in range(len(inputs))]
    on = [on_scalars and x.dtype.kind == "f" for x in inputs]
    seed = SEED if arguments.seed is None else arguments.seed
    example = arguments.target == "bn" and arguments.seed is None and inputs[0].shape[1] == 1

    def run(arrays: list[Any]) -> tuple[Any, Any]:
        given = [scalarize(x, name) if scalar else as_tensor(x, name) for x, name, scalar in zip(arrays, names, on)]
        with record_sites() if arguments.sites else nullcontext():
            outputs = variables_of(call(function, given, arguments.target), arguments.target)
        return outputs, _first_row(outputs) if example else _cotangents(outputs, seed)

    outputs, gradient = run(inputs)
    if on_scalars and isinstance(outputs, list):
        outputs = np.array([*outputs, None], dtype=object)[:-1]  # the scalar view takes an array of them
    module = function if isinstance(function, Module) else None
    return Program(outputs, inputs, gradient, module, title, _rows(inputs, run))


def _rows(inputs: list[Any], run: Callable[[list[Any]], tuple[Any, Any]]) -> Any:
    """How many rows the arguments have in common, and what is computed from another number of them."""
    n = inputs[0].shape[0] if inputs and inputs[0].ndim else 0
    if n < 2:
        return None

    def resized(m: int) -> tuple[Any, Any]:
        return run([x[np.arange(m) % n] if x.ndim and x.shape[0] == n else x for x in inputs])

    return n, resized


def chosen(arguments: argparse.Namespace) -> tuple[Any, list[Any], str]:
    """The function that the options name, its arguments as arrays, and what to call it."""
    if arguments.target == "bn":
        refuse_unused(arguments, "bn", given="--shape and --input")
        return _batch_norm(arguments.rows or ROWS, arguments.features or FEATURES)
    refuse_unused(arguments, arguments.target, rows="--rows", features="--features")
    rng = np.random.default_rng(SEED if arguments.seed is None else arguments.seed)
    return find(arguments.target), [make(rng) for make in arguments.given or []], Path(arguments.target).name


def variables_of(returned: Any, target: str) -> Any:
    """What a program returned, as a variable, an array of scalars, or a list of variables, each once.

    Tuples, lists, dicts and dataclasses may hold them, one in the other; keys become names.

    Raises:
        ArgumentError: something in it that is not a variable, by its place.
    """
    if _is_result(returned):
        return returned
    leaves = list(_leaves(returned, f"{target} returned"))
    if not leaves:
        raise ArgumentError(explain(f"{target} returned nothing to draw", got=repr(returned)))
    found: list[Any] = []
    for leaf in leaves:
        found += leaf.ravel().tolist() if isinstance(leaf, np.ndarray) else [leaf]
    found = list(dict.fromkeys(found))
    return found if len(found) > 1 else found[0]


def _is_result(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype == object and value.size > 0 and all(isinstance(v, Variable) for v in value.flat)
    return isinstance(value, Variable)


def _leaves(value: Any, place: str, name: str | None = None) -> Iterator[Any]:
    if _is_result(value):
        if isinstance(value, Variable) and value.name is None and name is not None:
            value.name = name
        yield value
        return
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}[{key!r}]", str(key))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, inner in zip(value._fields, value):
            yield from _leaves(inner, f"{place}.{key}", key)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{i}]")
    else:
        what = f"{place.replace(' returned[', ' returned at [')} {'None' if value is None else 'no variable'}"
        got = None if value is None else type(value).__name__
        fix = "return what was computed from the arguments with operations of tinygrad_bn"
        raise ArgumentError(explain(what, got=got, expected="a variable", fix=fix))


def _cotangents(outputs: Any, seed: int) -> Any:
    """1 for a single number; else random, because symmetric cotangents hide what a backward pass does."""
    if isinstance(outputs, list):
        return [_cotangent(output.shape, seed + i) for i, output in enumerate(outputs)]
    return _cotangent(outputs.shape, seed)


def _first_row(outputs: Any) -> Any:
    """The cotangent of the worked example, in README, documentation, demos and pages alike: the loss is the first output."""
    gradient = np.zeros(outputs.shape)
    gradient[0] = 1.0
    return gradient


def _cotangent(shape: tuple[int, ...], seed: int) -> Any:
    return np.ones(shape) if np.prod(shape) == 1 else np.round(np.random.default_rng(seed).uniform(-1, 1, shape), 2)


def _batch_norm(rows: int, features: int) -> tuple[Any, list[Any], str]:
    """The worked example [1, 2, 3, 4], or a batch of another size, made alike."""
    x = np.arange(1.0, rows + 1).reshape(rows, 1) * np.arange(1, features + 1)
    layer = BatchNorm1d(features, dtype=float)

    def bn(x: Any) -> Any:
        y = layer(x) if isinstance(x, Tensor) else batch_norm(x, training=True)
        if isinstance(y, Tensor):
            y.name = "y"
        return y

    listed = ", ".join(f"{v:g}" for v in x[:, 0])
    return bn, [x], f"Batch Normalization of [{listed}]" if features == 1 and rows <= 8 else "Batch Normalization"
