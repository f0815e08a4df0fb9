"""The units of a program as C: a function for each row of units that no call of Python interrupts."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from ...kinds import Shape
from ..grouping import Kernel, Unit
from ..lower import CHECK, NUMERIC, PRODUCT, PUTTING, Lowered, Place, matrix_layout
from .kernels import INDEPENDENT, KernelText, index, nest
from .operations import DTYPES, REDUCTIONS, expression, literal

HEAD = """#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t I;
"""

REDUCTION = """#pragma omp declare reduction({1} : float, double : {2}) initializer(omp_priv = {0})
"""

# Row by row, z = x y is zᵀ = yᵀ xᵀ column by column, as Fortran has it.
PRODUCT_OF = """
static inline void product_{T}(void *gemm, int rows, int inner, int columns, const {T} *x, char flip_x, int step_x,
                               const {T} *y, char flip_y, int step_y, {T} *z) {{
  typedef void Gemm(const char *, const char *, const int *, const int *, const int *, const {T} *, const {T} *,
                    const int *, const {T} *, const int *, const {T} *, {T} *, const int *);
  const {T} one = 1, zero = 0;
  ((Gemm *)gemm)(&flip_y, &flip_x, &columns, &rows, &inner, &one, y, &step_y, x, &step_x, &zero, z, &columns);
}}
"""

# What is in the first places of the table of addresses.
ARENA, NUMBERS = "((char *)p[0] + {})", "((double *)p[1])[{}]"
GEMM = {"float32": "p[2]", "float64": "p[3]"}
RESERVED = 4  # how many these are
ALONE = "static __attribute__((noinline))"  # a function of its own has all registers for itself
NAMES = re.compile(r"\b([mn])(\d+)\b")  # how texts call a node's memory, and a Python number


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
        self.kernels = {kernel: KernelText(lowered, kernel) for kernel in kernels}

    def roots(self, kernel: Kernel) -> tuple[set[int], set[int]]:
        """The nodes whose memory a kernel reads, and writes."""
        text = self.kernels[kernel]
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

        def declared(letter: str, number: int) -> str:
            """The line that says what a name means."""
            if letter == "m":
                owner, kind = same.get(number, number), DTYPES[nodes[number].dtype]
                address = f"p[{pointers[owner]}]" if owner in pointers else ARENA.format(arena[owner])
                return f"{kind} *m{number} = ({kind} *){address};"
            value = self._numeric(number) if nodes[number].kind == NUMERIC else NUMBERS.format(numbers[number])
            return f"const double n{number} = {value};"

        def function(head: str, body: Sequence[str], letters: str) -> list[str]:
            """A function that declares what it calls by these letters."""
            names: dict[tuple[str, int], str] = {}
            todo = NAMES.findall("\n".join(body))
            for letter, digits in todo:  # which grows
                name = letter, int(digits)
                if name not in names and letter in letters:
                    names[name] = declared(*name)
                    todo += NAMES.findall(names[name])
            return [f"{head} {{", *(names[name] for name in sorted(names)), *body, "}", ""]

        lines: list[str] = []
        bodies: list[list[str]] = []
        kernels = itertools.count()
        for row in self._rows:
            bodies.append([])
            for unit in row:
                if isinstance(unit, int):
                    bodies[-1] += WRITERS[nodes[unit].kind](self._lowered, unit)
                    continue
                loops, name = self.kernels[unit].lines, f"kernel{next(kernels)}"
                taken = sorted({f"n{digits}" for letter, digits in NAMES.findall("\n".join(loops)) if letter == "n"})
                given = ", ".join(["void **p", *(f"double {n}" for n in taken)])
                lines += function(f"{ALONE} void {name}({given})", loops, "m")
                bodies[-1].append(f"{name}({', '.join(['p', *taken])});")
        for state, number in copied:
            bodies[-1].append(f"memcpy(m{state}, m{number}, {math.prod(nodes[number].shape)} * sizeof *m{number});")
        for number, place in numbers.items():
            if nodes[number].kind == NUMERIC:
                bodies[-1].append(f"{NUMBERS.format(place)} = n{number};")
        for k, body in enumerate(bodies):
            lines += function(f"int run{k}(void **p)", [*body, "return 0;"], "mn")
        text = "\n".join(indented(lines))
        declarations = self._declarations.splitlines(True)
        used = [d for d in declarations[1:-1] if _declared(d) in text]
        head = [declarations[0], *used, declarations[-1]] if used else []
        named = [op for op in REDUCTIONS.values() if f"({op.name}:" in text and op.name != "+"]
        head += [REDUCTION.format(*op._replace(step=op.step.format("omp_out", "omp_in"))) for op in named]
        head += [PRODUCT_OF.format(T=T) for T in ("float", "double") if f"product_{T}(" in text]
        return "".join([HEAD, *head, "\n", text])

    def _numeric(self, number: int) -> str:
        """An operation on Python numbers."""
        node, literals = self._lowered.nodes[number], self._lowered.literals
        args = [literal(float(literals[i]), "float64") if i in literals else f"n{i}" for i in node.args]
        return expression(node.op, args, "float64", node.params.get("exponent"))


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


def _loop(k: int, n: int) -> str:
    return f"for (I i{k} = 0; i{k} < {n}; i{k}++)"


def _element(place: Place, shape: Shape, first: int = 0) -> str:
    """Where the element at i0, i1, ... lies; the axes count from ``first``, and those of length 1 do not move it."""
    steps = [(f"i{k}", s) for k, (n, s) in enumerate(zip(shape, place.strides), first) if n != 1]
    return index(steps, place.offset)


def _product(lowered: Lowered, number: int) -> list[str]:
    node = lowered.nodes[number]
    (*lead, rows, columns), inner = node.shape, lowered.nodes[node.args[0]].shape[-1]
    factors = []
    for i in node.args:
        place, shape = lowered.places[i], lowered.nodes[i].shape
        flip, step = matrix_layout(shape, place.strides)
        at = _element(place, shape[:-2], len(lead) - len(shape[:-2]))
        factors.append(f"m{place.root} + {at}, '{flip}', {step}")
    out = f"m{number} + {_element(lowered.places[number], node.shape[:-2])}"
    sizes = f"{rows}, {inner}, {columns}"
    call = f"product_{DTYPES[node.dtype]}({GEMM[node.dtype]}, {sizes}, {', '.join(factors)}, {out});"
    return nest([_loop(k, n) for k, n in enumerate(lead)], [call])


def _put(lowered: Lowered, number: int) -> list[str]:
    """Zeros, and what is put into a view; where that consists of windows, all windows at once for each position in them."""
    node = lowered.nodes[number]
    (x,) = node.args
    shape, source = lowered.nodes[x].shape, lowered.places[x]
    windows, axes = len(node.params.get("window", ())), range(len(shape))
    first = len(shape) - 2 * windows
    order = [*axes[:first], *axes[first + windows :], *axes[first : first + windows]]
    line = f"m{number}[{_element(lowered.put(number), shape)}] += m{source.root}[{_element(source, shape)}];"
    zeros = f"memset(m{number}, 0, {math.prod(node.shape)} * sizeof *m{number});"
    return [zeros, *nest([_loop(k, shape[k]) for k in order], [line], INDEPENDENT)]


def _check(lowered: Lowered, number: int) -> list[str]:
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
    return ["{", "int some = 0;", *nest([_loop(k, n) for k, n in enumerate(node.shape)], body), end, "}"]


WRITERS = {PRODUCT: _product, PUTTING: _put, CHECK: _check}
