"""A program of hundreds of thousands of steps in a few bytes for each: what steps have in common is kept once."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from operator import attrgetter
from typing import Any

import numpy as np

from ...program import Program, Step

ARGS = attrgetter("args")


class Packed:
    """A program to keep; most of its steps come from few lines and differ in their arguments only.

    Attributes:
        nbytes: memory of its arrays.
    """

    def __init__(self, program: Program) -> None:
        alike: dict[Any, int] = {}
        self._kinds: list[Step] = []  # with one of all the arguments that steps of this kind have
        which = []
        for step in program.steps:
            primitive, args, params, *rest = step
            same_params = id(params) if params else None
            kind = alike.setdefault((primitive, len(args), same_params, *rest), len(alike))
            if kind == len(self._kinds):
                self._kinds.append(step)
            which.append(kind)
        self._which = np.array(which, np.intc)
        self._args = np.fromiter(chain.from_iterable(map(ARGS, program.steps)), np.intc)
        self._rest = replace(program, steps=())
        self.nbytes = self._which.nbytes + self._args.nbytes

    def program(self) -> Program:
        """The program, equal to what was packed."""
        args = iter(self._args.tolist())
        kinds = [self._kinds[kind] for kind in self._which.tolist()]
        steps = [kind._replace(args=tuple(islice(args, len(kind.args)))) for kind in kinds]
        return replace(self._rest, steps=tuple(steps))
