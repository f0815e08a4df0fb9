"""The units of a program as C: a function for each row of units that no call of Python interrupts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from .c_kernels import KernelText
from .c_operations import DTYPES, expression, literal
from .grouping import Kernel, Unit
from .lower import NUMERIC, Lowered, Place, matrix_layout

HEAD = """#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t I;
"""

GEMM = """typedef void gemm_{T}(const char *, const char *, const int *, const int *, const int *, const {T} *, const {T} *,
                        const int *, const {T} *, const int *, const {T} *, {T} *, const int *);
"""

# Row by row, z = x y is zᵀ = yᵀ xᵀ column by column, as Fortran has it.
PRODUCT_OF = """
static inline void product_{T}(gemm_{T} *gemm, int rows, int inner, int columns, const {T} *x, char flip_x, int step_x,
                               const {T} *y, char flip_y, int step_y, {T} *z) {{
  const {T} one = 1, zero = 0;
  gemm(&flip_y, &flip_x, &columns, &rows, &inner, &one, y, &step_y, x, &step_x, &zero, z, &columns);
}}
"""

MEMORY = re.compile(r"\bm(\d+)\b")  # how texts call a node's memory
NUMBERS = re.compile(r"\bn(\d+)\b")  # and a Python number


class Text:
    """The C text of rows of units.

    Args:
        lowered: the nodes.
        rows: units; each row becomes a function.
        declarations: what tells the compiler of vector versions of the elementary functions.

    Attributes:
        kernels: the text of each kernel, with what it touches.
    """

    def __init__(self, lowered: Lowered, rows: Sequence[Sequence[Unit]], declarations: str) -> None:
        self._lowered = lowered
        self._rows = rows
        self._declarations = declarations
        kernels = [unit for row in rows for unit in row if not isinstance(unit, int)]
        self.kernels = {id(kernel): KernelText(lowered, kernel) for kernel in kernels}

    def roots(self, kernel: Kernel) -> tuple[set[int], set[int]]:
        """The nodes whose memory a kernel reads, and writes."""
        text = self.kernels[id(kernel)]
        return set(text.reads), set(text.writes)

    def source(
        self, pointers: dict[int, int], arena: dict[int, int], numbers: dict[int, int], same: dict[int, int],
        copied: Sequence[tuple[int, int]],
    ) -> str:  # fmt: skip
        """The whole text.

        Args:
            pointers: for nodes whose memory differs from run to run, the place of its address in the table.
            arena: for the others, how far from the beginning of the program's own memory, in bytes.
            numbers: the place of each Python number in theirs.
            same: nodes that live in the memory of another.
            copied: states, and the nodes whose memory is copied there in the end.
        """
        nodes = self._lowered.nodes
        bodies = [[line for unit in row for line in self._unit(unit)] for row in self._rows]
        for state, number in copied:
            bodies[-1].append(f"  memcpy(m{state}, m{number}, {math.prod(nodes[number].shape)} * sizeof *m{number});")
        bodies[-1] += [
            f"  n[{place}] = n{number};" for number, place in numbers.items() if nodes[number].kind == NUMERIC
        ]
        lines = []
        for k, body in enumerate(bodies):
            lines += [f"int run{k}(void **p) {{", "  char *arena = p[0];", "  double *n = p[1];"]
            lines += ["  gemm_float *gemm_f = (gemm_float *)p[2];", "  gemm_double *gemm_d = (gemm_double *)p[3];"]
            said = "\n".join(body)
            for number in sorted(set(map(int, MEMORY.findall(said)))):
                owner, kind = same.get(number, number), DTYPES[nodes[number].dtype]
                address = f"p[{pointers[owner]}]" if owner in pointers else f"(arena + {arena[owner]})"
                lines.append(f"  {kind} *m{number} = ({kind} *){address};")
            used = set(map(int, NUMBERS.findall(said)))
            for number in sorted((used | self._lowered.numeric(used)) - self._lowered.literals.keys()):
                value = self._numeric(number) if nodes[number].kind == NUMERIC else f"n[{numbers[number]}]"
                lines.append(f"  const double n{number} = {value};")
            lines += [*body, "  return 0;", "}", ""]
        text = "\n".join(lines)
        declared = [d for d in self._declarations.splitlines(True) if d[0] == "#" or _declared(d) in text]
        products = [PRODUCT_OF.format(T=T) for T in ("float", "double") if f"product_{T}(" in text]
        return "".join([HEAD, GEMM.format(T="float"), GEMM.format(T="double"), *declared, *products, "\n", text])

    def _numeric(self, number: int) -> str:
        """An operation on Python numbers."""
        node, literals = self._lowered.nodes[number], self._lowered.literals
        args = [literal(float(literals[i]), "float64") if i in literals else f"n{i}" for i in node.args]
        return expression(node.op, args, "float64", node.params.get("exponent"))

    def _unit(self, unit: Unit) -> list[str]:
        if not isinstance(unit, int):
            return self.kernels[id(unit)].lines
        op = self._lowered.nodes[unit].op
        return [f"  {line}" for line in WRITERS[op](self._lowered, unit)]


def _declared(line: str) -> str:
    """The function that a declaration is of, as a call of it begins."""
    return line.rpartition(" ")[2].partition("(")[0] + "("


# -- what is no kernel: the lines for a node ------------------------------------------------------------------------------


def _nest(shape: Sequence[int]) -> str:
    return "".join(f"for (I i{k} = 0; i{k} < {n}; i{k}++) " for k, n in enumerate(shape))


def _index(place: Place, shape: Sequence[int], first: int = 0, along: int = -1, position: str = "") -> str:
    """Where the element at i0, i1, ... lies; the axes count from ``first``; along one of them it is at another position."""
    names = [position if k == along else f"i{k + first}" for k in range(len(shape))]
    parts = [f"{i} * {s}" for i, n, s in zip(names, shape, place.strides) if s and (n != 1 or i == position)]
    return " + ".join([*parts, str(place.offset)])


def _zeros(lowered: Lowered, number: int) -> str:
    return f"memset(m{number}, 0, {math.prod(lowered.nodes[number].shape)} * sizeof *m{number});"


def _matmul(lowered: Lowered, number: int) -> list[str]:
    node = lowered.nodes[number]
    T = DTYPES[node.dtype]  # noqa: N806
    (*lead, rows, columns), inner = node.shape, lowered.nodes[node.args[0]].shape[-1]
    factors = []
    for i in node.args:
        place, shape = lowered.places[i], lowered.nodes[i].shape
        layout = matrix_layout(shape, place.strides)
        assert layout is not None  # see ``Lowered``
        flip, step = layout
        at = _index(place, shape[:-2], len(lead) - len(shape[:-2]))
        factors.append(f"m{place.root} + {at}, '{flip}', {step}")
    out = f"m{number} + {_index(lowered.places[number], lead)}"
    return [f"{_nest(lead)}product_{T}(gemm_{T[0]}, {rows}, {inner}, {columns}, {', '.join(factors)}, {out});"]


def _take_along_axis(lowered: Lowered, number: int) -> list[str]:
    node, own = lowered.nodes[number], lowered.places[number]
    x, positions = (lowered.places[i] for i in node.args)
    at = f"m{positions.root}[{_index(positions, node.shape)}]"
    source = _index(x, node.shape, along=node.params["axis"], position=at)
    return [f"{_nest(node.shape)}m{number}[{_index(own, node.shape)}] = m{x.root}[{source}];"]


def _add_along_axis(lowered: Lowered, number: int) -> list[str]:
    node, own = lowered.nodes[number], lowered.places[number]
    x, positions = (lowered.places[i] for i in node.args)
    shape = lowered.nodes[node.args[1]].shape
    at = f"m{positions.root}[{_index(positions, shape)}]"
    to = _index(own, shape, along=node.params["axis"], position=at)
    return [_zeros(lowered, number), f"{_nest(shape)}m{number}[{to}] += m{x.root}[{_index(x, shape)}];"]


def _put_slice(lowered: Lowered, number: int) -> list[str]:
    node = lowered.nodes[number]
    place, x = lowered.seen(number, node.params["index"]), lowered.places[node.args[0]]
    shape = lowered.nodes[node.args[0]].shape
    to, source = _index(place, shape), _index(x, shape)
    return [_zeros(lowered, number), f"{_nest(shape)}m{number}[{to}] = m{x.root}[{source}];"]


def _overlap_add(lowered: Lowered, number: int) -> list[str]:
    """For each position in the window, all windows at once: one strided addition."""
    node, own, x = lowered.nodes[number], lowered.places[number], lowered.places[lowered.nodes[number].args[0]]
    (*lead, rows, columns, high, wide) = lowered.nodes[node.args[0]].shape
    (stride_i, stride_j), (far_i, far_j) = node.params["stride"], node.params["dilation"]
    p, q, a, b = x.strides[-4:]
    T = DTYPES[node.dtype]  # noqa: N806
    return [
        _zeros(lowered, number),
        f"{_nest(lead)}{{",
        f"  {T} *to = m{number} + {_index(own, lead)}; const {T} *from = m{x.root} + {_index(x, lead)};",
        f"  for (I a = 0; a < {high}; a++) for (I b = 0; b < {wide}; b++) for (I p = 0; p < {rows}; p++) {{",
        f"    {T} *t = to + (p * {stride_i} + a * {far_i}) * {own.strides[-2]} + b * {far_j};",
        f"    const {T} *f = from + p * {p} + a * {a} + b * {b};",
        "    #pragma GCC ivdep",
        f"    for (I q = 0; q < {columns}; q++) t[q * {stride_j}] += f[q * {q}];",
        "  }",
        "}",
    ]


def _checked_index(lowered: Lowered, number: int) -> list[str]:
    """Labels, and 0 for those to be ignored; the run ends where one is outside, or all are to be ignored."""
    node, own = lowered.nodes[number], lowered.places[number]
    x, params = lowered.places[node.args[0]], node.params
    ignored = params["ignore_index"]
    kept = "1" if ignored is None else f"label != {ignored}"
    return [
        "{",
        "  int some = 0;",
        f"  {_nest(node.shape)}{{",
        f"    const I label = m{x.root}[{_index(x, node.shape)}];",
        f"    const int kept = {kept};",
        f"    if (kept && (label < 0 || label >= {params['count']})) return {number + 1};",
        "    some |= kept;",
        f"    m{number}[{_index(own, node.shape)}] = kept ? label : 0;",
        "  }",
        f"  if (!some) return {number + 1};" if params["some"] else "  (void)some;",
        "}",
    ]


WRITERS: dict[str, Callable[[Lowered, int], list[str]]] = {
    "matmul": _matmul,
    "take_along_axis": _take_along_axis,
    "add_along_axis": _add_along_axis,
    "put_slice": _put_slice,
    "overlap_add": _overlap_add,
    "checked_index": _checked_index,
}
