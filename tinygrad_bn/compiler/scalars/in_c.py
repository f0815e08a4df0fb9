"""A tape of scalars, run by one small C function with a case for each of its operations: it is given the groups as numbers."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterable

import numpy as np

from ...program import Program
from ..c.build import load
from ..c.operations import EXPRESSIONS, expression
from .tape import power_constant
from .vectors import Scalars

# The operations that take numbers alone, by the C expressions of kernels.  Comparisons are 1.0 or 0.0, as for floats.
CODES = {name: code for code, name in enumerate(EXPRESSIONS) if name not in ("astype", "power_constant")}
SUM = len(EXPRESSIONS)

TEXT = """#include <math.h>

/* Values at places; a group is four numbers: code, first place, how many, how many terms each.  The places of its terms are
   in the order first terms, second terms, ... */
void run(double *values, const int *groups, int n_groups, const int *places)
{
    for (int g = 0; g < n_groups; g++, groups += 4) {
        const int n = groups[2], k = groups[3];
        double *restrict out = values + groups[1];
        switch (groups[0]) {
%s        case %d: /* sums */
            _Pragma("omp simd")
            for (int i = 0; i < n; i++) out[i] = values[places[i]];
            for (int j = 1; j < k; j++) {
                const int *restrict term = places + (long)j * n;
                _Pragma("omp simd")
                for (int i = 0; i < n; i++) out[i] += values[term[i]];
            }
        }
        places += (long)k * n;
    }
}
"""


def is_in_c(program: Program) -> bool:
    """Whether there is C for every operation."""
    return all(
        step.primitive is power_constant or (step.primitive.name in CODES and not step.params) for step in program.steps
    )


def c_text(names: Iterable[str]) -> str:
    """The function that runs any tape of these operations; a case for each that there is takes a second to compile."""
    cases = []
    for name in names:
        text = expression(name, list("xyz"), "float64")
        terms = [letter for letter in "xyz" if re.search(rf"\b{letter}\b", text)]
        read = ", ".join(f"{letter} = values[places[i + {j}L * n]]" for j, letter in enumerate(terms))
        loop = f"for (int i = 0; i < n; i++) {{ const double {read}; out[i] = {text}; }}"
        lines = (f"case {CODES[name]}: /* {name} */", f'    _Pragma("omp simd") {loop}', "    break;")
        cases += [f"        {line}\n" for line in lines]
    return TEXT % ("".join(cases), SUM)


class ScalarsInC(Scalars):
    """A tape, run by C: equal bits for + - * /, comparisons and roots."""

    def _prepare(self, exact: bool) -> tuple[Callable[[], None], int]:
        names = {g.operation.primitive.name for g in self.tape.groups if not g.is_sum}
        function = load(c_text(sorted(names))).function
        numbers = [
            (SUM if g.is_sum else CODES[g.operation.primitive.name], g.start, len(g.steps), g.terms.shape[1])
            for g in self.tape.groups
        ]
        groups = np.array(numbers, np.intc).reshape(-1, 4)
        places = np.concatenate([g.terms.T.ravel() for g in self.tape.groups] or [np.zeros(0, np.intc)])
        function.restype, function.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        pointers = [array.ctypes.data for array in (self.values, groups, places)]
        self._held = groups, places  # as long as their addresses

        def compute() -> None:
            function(pointers[0], pointers[1], len(numbers), pointers[2])

        return compute, groups.nbytes + places.nbytes
