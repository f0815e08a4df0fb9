"""The units of a program as C: a function for each row of units that no call of Python interrupts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..program.parts import NUMBER
from .c_kernels import KernelText
from .c_operations import DTYPES
from .grouping import Unit
from .lower import PRODUCT, Lowered, Place, matrix_layout

HEAD = """#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t I;
typedef void gemm_float(const char *, const char *, const int *, const int *, const int *, const float *, const float *,
                        const int *, const float *, const int *, const float *, float *, const int *);
typedef void gemm_double(const char *, const char *, const int *, const int *, const int *, const double *, const double *,
                         const int *, const double *, const int *, const double *, double *, const int *);
"""

# Row by row, z = x y is zᵀ = yᵀ xᵀ column by column, as Fortran has it.
PRODUCT_OF = """
static inline void product_{T}(gemm_{T} *gemm, int rows, int inner, int columns, const {T} *x, char flip_x, int step_x,
                               const {T} *y, char flip_y, int step_y, {T} *z) {{
  const {T} one = 1, zero = 0;
  gemm(&flip_y, &flip_x, &columns, &rows, &inner, &one, y, &step_y, x, &step_x, &zero, z, &columns);
}}
"""


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
        self.kernels = {
            id(unit): KernelText(lowered, unit) for row in rows for unit in row if not isinstance(unit, int)
        }

    def roots(self, unit: Unit) -> tuple[set[int], set[int]]:
        """The nodes whose memory a unit reads, and writes."""
        if not isinstance(unit, int):
            text = self.kernels[id(unit)]
            return set(text.reads), set(text.writes)
        places = self._lowered.places
        return {places[i].root for i in self._lowered.nodes[unit].args}, {places[unit].root}

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
        functions = [
            self._function(k, pointers, arena, numbers, same, copied if k == len(self._rows) - 1 else ())
            for k in range(len(self._rows))
        ]
        body = "\n".join(functions)
        used = "".join(
            line for line in self._declarations.splitlines(True) if line[0] == "#" or _declared(line) in body
        )
        products = "".join(PRODUCT_OF.format(T=T) for T in ("float", "double") if f"product_{T}(" in body)
        return f"{HEAD}{used}{products}\n{body}"

    def _function(
        self, k: int, pointers: dict[int, int], arena: dict[int, int], numbers: dict[int, int], same: dict[int, int],
        copied: Sequence[tuple[int, int]],
    ) -> str:  # fmt: skip
        row = self._rows[k]
        touched = sorted({n for pair in copied for n in pair}.union(*(r | w for r, w in map(self.roots, row))))
        nodes = self._lowered.nodes
        lines = []
        for number in touched:
            if number in self._lowered.literals or nodes[number].dtype == NUMBER:
                continue
            owner = same.get(number, number)
            kind = DTYPES[nodes[number].dtype]
            where = f"p[{pointers[owner]}]" if owner in pointers else f"(arena + {arena[owner]})"
            lines.append(f"  {kind} *m{number} = ({kind} *){where};")
        lines += [f"  const double n{number} = n[{place}];" for number, place in numbers.items()]
        for unit in row:
            lines += self.kernels[id(unit)].lines if not isinstance(unit, int) else self._barrier(unit)
        for state, number in copied:
            lines.append(f"  memcpy(m{state}, m{number}, {math.prod(nodes[number].shape)} * sizeof *m{number});")
        head = f"int run{k}(void **p, char *arena, const double *n, gemm_float *gemm_f, gemm_double *gemm_d) {{"
        return "\n".join([head, *lines, "  return 0;", "}", ""])

    # -- what is no kernel --------------------------------------------------------------------------------------------------

    def _barrier(self, number: int) -> list[str]:
        node = self._lowered.nodes[number]
        return self._product(number) if node.kind == PRODUCT else WRITERS[node.op](self._lowered, number)

    def _product(self, number: int) -> list[str]:
        nodes, places = self._lowered.nodes, self._lowered.places
        node = nodes[number]
        x, y = node.args
        T = DTYPES[node.dtype]  # noqa: N806
        rows, columns = node.shape[-2:]
        inner = nodes[x].shape[-1]
        lead = node.shape[:-2]
        loops = "".join(f"for (I i{k} = 0; i{k} < {n}; i{k}++) " for k, n in enumerate(lead))
        texts = []
        for i in (x, y):
            layout = matrix_layout(nodes[i].shape, places[i].strides)
            assert layout is not None  # see ``Lowered``
            flip, step = layout
            texts.append(f"{_lead(places[i], nodes[i].shape, len(lead), i)}, '{flip}', {step}")
        out = _lead(places[number], node.shape, len(lead), number)
        return [f"  {loops}product_{T}(gemm_{T[0]}, {rows}, {inner}, {columns}, {', '.join(texts)}, {out});"]


def _declared(line: str) -> str:
    """The function that a declaration is of, as a call of it begins."""
    return line.rpartition(" ")[2].partition("(")[0] + "("


def _lead(place: Place, shape: tuple[int, ...], rank: int, number: int) -> str:
    """The address of a matrix among several."""
    lead = shape[:-2]
    strides = place.strides
    parts = [f"i{k + rank - len(lead)} * {strides[k]}" for k, n in enumerate(lead) if n != 1 and strides[k]]
    offset = place.offset
    return " + ".join([f"m{place.root}", *parts, *([str(offset)] if offset else [])])


def _nest(shape: Sequence[int]) -> str:
    return "".join(f"for (I i{k} = 0; i{k} < {n}; i{k}++) " for k, n in enumerate(shape))


def _index(place: Place, over: Sequence[int], skip: int = -1) -> str:
    parts = [f"i{k} * {s}" for k, s in enumerate(place.strides) if s and k != skip and over[k] != 1]
    return " + ".join([*parts, str(place.offset)])


def _take_along_axis(lowered: Lowered, number: int) -> list[str]:
    node = lowered.nodes[number]
    x, positions = (lowered.places[i] for i in node.args)
    axis = node.params["axis"]
    at = f"m{positions.root}[{_index(positions, node.shape)}]"
    out = f"m{number}[{_index(lowered.places[number], node.shape)}]"
    return [f"  {_nest(node.shape)}{out} = m{x.root}[{_index(x, node.shape, axis)} + {at} * {x.strides[axis]}];"]


def _add_along_axis(lowered: Lowered, number: int) -> list[str]:
    node = lowered.nodes[number]
    x, positions, own = lowered.places[node.args[0]], lowered.places[node.args[1]], lowered.places[number]
    axis, shape = node.params["axis"], lowered.nodes[node.args[1]].shape
    at = f"m{positions.root}[{_index(positions, shape)}]"
    value = f"m{x.root}[{_index(x, lowered.nodes[node.args[0]].shape)}]"
    return [
        f"  memset(m{number}, 0, {math.prod(node.shape)} * sizeof *m{number});",
        f"  {_nest(shape)}m{number}[{_index(own, shape, axis)} + {at} * {own.strides[axis]}] += {value};",
    ]


def _put_slice(lowered: Lowered, number: int) -> list[str]:
    node = lowered.nodes[number]
    place, x = lowered.seen(number, node.params["index"]), lowered.places[node.args[0]]
    shape = lowered.nodes[node.args[0]].shape
    return [
        f"  memset(m{number}, 0, {math.prod(node.shape)} * sizeof *m{number});",
        f"  {_nest(shape)}m{number}[{_index(place, shape)}] = m{x.root}[{_index(x, shape)}];",
    ]


def _overlap_add(lowered: Lowered, number: int) -> list[str]:
    """For each position in the window, all windows at once: one strided addition."""
    node = lowered.nodes[number]
    x, own, shape = lowered.places[node.args[0]], lowered.places[number].strides, lowered.nodes[node.args[0]].shape
    rank = len(shape) - 4
    (stride_i, stride_j), (far_i, far_j) = node.params["stride"], node.params["dilation"]
    lead = [f"for (I i{k} = 0; i{k} < {n}; i{k}++) " for k, n in enumerate(shape[:rank])]
    to = " + ".join([f"i{k} * {own[k]}" for k in range(rank)] + ["0"])
    source = " + ".join([f"i{k} * {x.strides[k]}" for k in range(rank)] + [str(x.offset)])
    rows, columns, high, wide = shape[rank:]
    p, q, a, b = x.strides[rank:]
    T = DTYPES[node.dtype]  # noqa: N806
    return [
        f"  memset(m{number}, 0, {math.prod(node.shape)} * sizeof *m{number});",
        f"  {''.join(lead)}{{",
        f"    {T} *to = m{number} + {to}; const {T} *from = m{x.root} + {source};",
        f"    for (I a = 0; a < {high}; a++) for (I b = 0; b < {wide}; b++) for (I p = 0; p < {rows}; p++) {{",
        f"      {T} *t = to + (p * {stride_i} + a * {far_i}) * {own[rank]} + b * {far_j};",
        f"      const {T} *f = from + p * {p} + a * {a} + b * {b};",
        "      #pragma GCC ivdep",
        f"      for (I q = 0; q < {columns}; q++) t[q * {stride_j}] += f[q * {q}];",
        "    }",
        "  }",
    ]


def _checked_index(lowered: Lowered, number: int) -> list[str]:
    """Labels, and 0 for those to be ignored; the run ends where one is outside, or all are to be ignored."""
    node = lowered.nodes[number]
    x, params = lowered.places[node.args[0]], node.params
    ignored = params["ignore_index"]
    kept = "1" if ignored is None else f"label != {ignored}"
    return [
        "  {",
        "    int some = 0;",
        f"    {_nest(node.shape)}{{",
        f"      const I label = m{x.root}[{_index(x, node.shape)}];",
        f"      const int kept = {kept};",
        f"      if (kept && (label < 0 || label >= {params['count']})) return {number + 1};",
        "      some |= kept;",
        f"      m{number}[{_index(lowered.places[number], node.shape)}] = kept ? label : 0;",
        "    }",
        *([f"    if (!some) return {number + 1};"] if params["some"] else ["    (void)some;"]),
        "  }",
    ]


WRITERS: dict[str, Callable[[Lowered, int], list[str]]] = {
    "take_along_axis": _take_along_axis,
    "add_along_axis": _add_along_axis,
    "put_slice": _put_slice,
    "overlap_add": _overlap_add,
    "checked_index": _checked_index,
}
