"""Why two calls differ: random numbers of the layer's own, or state that it keeps from call to call."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import Variable
from ..nn import Module
from ..random import generator

LIBRARY = "draw from tinygrad_bn.random.generator(), which manual_seed seeds"


def cause(module: Module | None, call: Callable[[], Any]) -> tuple[str, str]:
    """What one call leaves changed, and what to do about it.

    Args:
        module: the layer, if it is one; its attributes are looked at.
        call: one call of it.

    Returns:
        The cause, as the end of a sentence, and the advice.
    """
    before, attributes = _sources(), _attributes(module)
    call()
    after, changed = _sources(), _attributes(module)
    drawn = [name for name in before if before[name] != after[name]]
    if drawn:
        return f"it draws from {drawn[0]}", LIBRARY
    for path, (generating, value) in changed.items():
        if path in attributes and attributes[path][1] == value:
            continue
        if generating:
            return f"{path} is a generator of its own", LIBRARY
        fix = "let forward depend on its arguments, parameters and buffers only; running values: register_buffer"
        return f"it keeps state from call to call: {path} changed", fix
    fix = f"{LIBRARY}; keep no state outside parameters and buffers"
    return "it draws random numbers or keeps state outside the layer (a global, a closure)", fix


def seeds(call: Callable[[], Any]) -> str:
    """Which source of random numbers a call seeds: it is left alike whatever it held before; "" for none."""
    held = generator().bit_generator.state, np.random.get_state(), random.getstate()
    left: list[dict[str, str]] = []
    try:
        for seed in (1, 2):
            generator().bit_generator.state = np.random.PCG64(seed).state
            np.random.seed(seed)
            random.seed(seed)
            call()
            left.append({"the library's generator": str(generator().bit_generator.state), **_sources()})
    finally:
        generator().bit_generator.state = held[0]
        np.random.set_state(held[1])
        random.setstate(held[2])
    return next((name for name in left[0] if left[0][name] == left[1][name]), "")


def _sources() -> dict[str, str]:
    """Where random numbers come from, beside the library's generator, whose draws are put back."""
    return {"numpy.random": str(np.random.get_state()), "Python's random": str(random.getstate())}


def _attributes(module: Module | None) -> dict[str, tuple[bool, str]]:
    """The plain attributes of all modules: whether it is a generator, and what it holds."""
    found: dict[str, tuple[bool, str]] = {}
    for path, part in module.named_modules() if module is not None else ():
        for name, value in vars(part).items():
            at = f"self.{path}.{name}" if path else f"self.{name}"
            if isinstance(value, np.random.Generator):
                if value is not generator():
                    found[at] = True, str(value.bit_generator.state)
            elif isinstance(value, random.Random):
                found[at] = True, str(value.getstate())
            elif isinstance(value, np.random.RandomState):
                found[at] = True, str(value.get_state())
            elif not isinstance(value, Module):
                found[at] = False, _text(value)
    return found


def _text(value: Any) -> str:
    raw = value.data if isinstance(value, Variable) else value
    return raw.tobytes().hex() if isinstance(raw, np.ndarray) and raw.dtype.kind != "O" else repr(raw)
