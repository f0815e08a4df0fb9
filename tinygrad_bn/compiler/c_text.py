"""The units of a program as C: a function for each row of units that no call of Python interrupts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from .c_kernels import INDEPENDENT, KernelText, nest
from .c_operations import DTYPES, REDUCTIONS, expression, literal
from .grouping import Kernel, Unit
from .lower import NUMERIC, PUT, Lowered, Place, matrix_layout

HEAD = """#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t I;
"""

GEMM = """typedef void gemm_{T}(const char *, const char *, const int *, const int *, const int *, const {T} *, const {T} *,
                        const int *, const {T} *, const int *, const {T} *, {T} *, const int *);
"""

REDUCTION = """#pragma omp declare reduction({1} : float, double : {2}) initializer(omp_priv = {0})
"""

# Row by row, z = x y is zᵀ = yᵀ xᵀ column by column, as Fortran has it.
PRODUCT_OF = """
static inline void product_{T}(gemm_{T} *gemm, int rows, int inner, int columns, const {T} *x, char flip_x, int step_x,
                               const {T} *y, char flip_y, int step_y, {T} *z) {{
  const {T} one = 1, zero = 0;
  gemm(&flip_y, &flip_x, &columns, &rows, &inner, &one, y, &step_y, x, &step_x, &zero, z, &columns);
}}
"""

RESERVED = {  # what is in the first places of the table of addresses, by how texts use it
    "(arena ": "char *arena = p[0];",
    "n[": "double *n = p[1];",
    "(gemm_f,": "gemm_float *gemm_f = (gemm_float *)p[2];",
    "(gemm_d,": "gemm_double *gemm_d = (gemm_double *)p[3];",
}
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
            bodies[-1].append(f"memcpy(m{state}, m{number}, {math.prod(nodes[number].shape)} * sizeof *m{number});")
        bodies[-1] += [f"n[{place}] = n{number};" for number, place in numbers.items() if nodes[number].kind == NUMERIC]
        lines = []
        for k, body in enumerate(bodies):
            said = "\n".join(body)
            declared = []
            for number in sorted(set(map(int, MEMORY.findall(said)))):
                owner, kind = same.get(number, number), DTYPES[nodes[number].dtype]
                address = f"p[{pointers[owner]}]" if owner in pointers else f"(arena + {arena[owner]})"
                declared.append(f"{kind} *m{number} = ({kind} *){address};")
            used = set(map(int, NUMBERS.findall(said)))
            for number in range(max(used, default=0), -1, -1):  # and what they are computed from
                if number in used and nodes[number].kind == NUMERIC:
                    used.update(nodes[number].args)
            for number in sorted(used - self._lowered.literals.keys()):
                value = self._numeric(number) if nodes[number].kind == NUMERIC else f"n[{numbers[number]}]"
                declared.append(f"const double n{number} = {value};")
            used_of_table = [line for use, line in RESERVED.items() if any(use in line for line in (*declared, *body))]
            lines += [f"int run{k}(void **p) {{", *used_of_table, *declared, *body, "return 0;", "}", ""]
        text = "\n".join(indented(lines))
        head = [d for d in self._declarations.splitlines(True) if d[0] == "#" or _declared(d) in text]
        named = [op for op in REDUCTIONS.values() if f"({op.name}:" in text and op.name != "+"]
        head += [REDUCTION.format(*op._replace(step=op.step.format("omp_out", "omp_in"))) for op in named]
        head += [PRODUCT_OF.format(T=T) for T in ("float", "double") if f"product_{T}(" in text]
        return "".join([HEAD, GEMM.format(T="float"), GEMM.format(T="double"), *head, "\n", text])

    def _numeric(self, number: int) -> str:
        """An operation on Python numbers."""
        node, literals = self._lowered.nodes[number], self._lowered.literals
        args = [literal(float(literals[i]), "float64") if i in literals else f"n{i}" for i in node.args]
        return expression(node.op, args, "float64", node.params.get("exponent"))

    def _unit(self, unit: Unit) -> list[str]:
        if not isinstance(unit, int):
            return self.kernels[id(unit)].lines
        return WRITERS[self._lowered.nodes[unit].op](self._lowered, unit)


def indented(lines: Iterable[str]) -> Iterator[str]:
    """Lines, each by the braces that are open before it."""
    depth = 0
    for line in lines:
        depth -= line.startswith("}")
        yield "  " * depth + line
        depth += line.startswith("}") + line.count("{") - line.count("}")


def _declared(line: str) -> str:
    """The function that a declaration is of, as a call of it begins."""
    return line.rpartition(" ")[2].partition("(")[0] + "("


# -- what is no kernel: the lines for a node ------------------------------------------------------------------------------


def _loops(shape: Sequence[int]) -> list[str]:
    return [f"for (I i{k} = 0; i{k} < {n}; i{k}++)" for k, n in enumerate(shape) if n != 1]


def _element(place: Place, shape: Sequence[int], first: int = 0) -> str:
    """Where the element at i0, i1, ... lies; the axes count from ``first``."""
    steps = [f"i{k} * {s}" for k, (n, s) in enumerate(zip(shape, place.strides), first) if n != 1 and s]
    return " + ".join([*steps, str(place.offset)])


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
        at = _element(place, shape[:-2], len(lead) - len(shape[:-2]))
        factors.append(f"m{place.root} + {at}, '{flip}', {step}")
    out = f"m{number} + {_element(lowered.places[number], lead)}"
    call = f"product_{T}(gemm_{T[0]}, {rows}, {inner}, {columns}, {', '.join(factors)}, {out});"
    return nest(_loops(lead), [call])


def _put(lowered: Lowered, number: int) -> list[str]:
    """Zeros, and what is put into a view; where that consists of windows, all windows at once for each position in them."""
    node, to = lowered.nodes[number], lowered.put(number)
    (x,) = node.args
    shape, source = lowered.nodes[x].shape, lowered.places[x]
    windows, axes = len(node.params.get("window", ())), range(len(shape))
    first = len(shape) - 2 * windows
    order = [*axes[:first], *axes[first + windows :], *axes[first : first + windows]]
    loops = [f"for (I i{k} = 0; i{k} < {shape[k]}; i{k}++)" for k in order]
    line = f"m{number}[{_element(to, shape)}] += m{source.root}[{_element(source, shape)}];"
    zeros = f"memset(m{number}, 0, {math.prod(node.shape)} * sizeof *m{number});"
    return [zeros, *nest(loops, [line], INDEPENDENT)]


def _checked_index(lowered: Lowered, number: int) -> list[str]:
    """Labels, and 0 for those to be ignored; the run ends where one is outside, or all are to be ignored."""
    node, params = lowered.nodes[number], lowered.nodes[number].params
    x = lowered.places[node.args[0]]
    ignored = params["ignore_index"]
    body = [
        f"const I label = m{x.root}[{_element(x, node.shape)}];",
        f"const int kept = {1 if ignored is None else f'label != {ignored}'};",
        f"if (kept && (label < 0 || label >= {params['count']})) return {number + 1};",
        "some |= kept;",
        f"m{number}[{_element(lowered.places[number], node.shape)}] = kept ? label : 0;",
    ]
    end = f"if (!some) return {number + 1};" if params["some"] else "(void)some;"
    return ["{", "int some = 0;", *nest(_loops(node.shape), body), end, "}"]


WRITERS: dict[str, Callable[[Lowered, int], list[str]]] = {
    "matmul": _matmul,
    "checked_index": _checked_index,
    **dict.fromkeys(PUT, _put),
}
