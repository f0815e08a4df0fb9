"""Comparisons that know no tolerance: a program run beside the function itself."""

from __future__ import annotations

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn.engine import Variable


def raw(tree):
    """A tree of results with arrays and numbers in place of variables."""
    if isinstance(tree, Variable):
        return tree.data
    if isinstance(tree, np.ndarray) and tree.dtype == object:
        return np.array([float(part.data) for part in tree.ravel()]).reshape(tree.shape)
    if isinstance(tree, dict):
        return {name: raw(part) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return [raw(part) for part in tree]
    return tree


def flat(tree, name="", found=None):
    """Every array and number of a tree with where it stands."""
    found = {} if found is None else found
    if isinstance(tree, dict):
        for key, part in tree.items():
            flat(part, f"{name}.{key}", found)
    elif isinstance(tree, (tuple, list)):
        for i, part in enumerate(tree):
            flat(part, f"{name}[{i}]", found)
    else:
        found[name] = tree
    return found


def pairs(one, other):
    """Name and arrays of what stands in the same place; structure, shapes and dtypes are equal."""
    one, other = flat(raw(one)), flat(raw(other))
    assert list(one) == list(other)
    for name, value in one.items():
        a, b = np.asarray(value), np.asarray(other[name])
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{name}: {a.shape} {a.dtype}, {b.shape} {b.dtype}"
        yield name, a, b


def same_bits(one, other):
    """Equal in structure, shapes, dtypes and every bit (a NaN is a NaN)."""
    for name, a, b in pairs(one, other):
        if a.dtype.kind == "f":
            nan = np.isnan(a)
            assert np.array_equal(nan, np.isnan(b)), f"{name}: {a}, {b}"
            a, b = np.where(nan, 0, a), np.where(nan, 0, b)
            assert np.array_equal(np.signbit(a), np.signbit(b)), f"{name}: {a}, {b}"
        assert np.array_equal(a, b), f"{name}: {a}, {b}"


def snapshot(model=None, optimizer=None):
    """Copies of all states: parameters, buffers, gradients, the optimizer's, the generator's."""
    kept = {"generator": str(tg.random.generator().bit_generator.state)}
    if model is not None:
        kept["model"] = {name: np.array(value) for name, value in model.state_dict().items()}
        kept["grad"] = {name: None if p.grad is None else np.array(p.grad.data) for name, p in model.named_parameters()}
    if optimizer is not None:
        kept["optimizer"] = optimizer.state_dict()
    return kept
