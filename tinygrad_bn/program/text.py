"""A program as lines of text: one a value, as a reader of a paper would write it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import clean, columns
from .parts import NUMBER, Constant, Input, State, Step

if TYPE_CHECKING:
    from .model import Program


def summary(program: Program) -> str:
    """One line: how many steps, what goes in and what comes out."""

    def listed(values: list[str]) -> str:
        return ", ".join(values[:4]) + f", and {len(values) - 4} more" * (len(values) > 4)

    takes = listed([f"{clean(entry.name, 20)} {_type(entry)}" for entry in program.inputs]) or "nothing"
    gives = listed([_type(program.entry(number)) for number in program.outputs]) or "nothing"
    writes = f", writes {len(program.writes)} states" * bool(program.writes)
    return f"<Program: {takes} -> {gives}; {len(program.steps)} steps{writes}>"


def text(program: Program) -> str:
    """Inputs, states and steps with their formulas, shapes and dtypes; then what is returned and written."""
    names = symbols(program)
    lines = []
    for number, entry in program.entries():
        if isinstance(entry, Constant) and not entry.shape:
            continue  # it stands in the formulas
        lines.append((_head(names, number, entry), _type(entry), "/".join(map(clean, getattr(entry, "scope", ())))))
    widths = [max((columns(line[i]) for line in lines), default=0) for i in range(3)]
    body = [
        "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(line, widths)).rstrip() for line in lines
    ]
    body.append("returns " + (", ".join(names[number] for number in program.outputs) or "nothing"))
    body += [f"{names[state]} ← {'nothing' if value is None else names[value]}" for state, value in program.writes]
    return "\n".join(body)


def symbols(program: Program) -> list[str]:
    """What formulas call each value: its name, a number as it is, or a letter and a count without gaps.

    A result whose name is taken gets a number, so no two values have the same name.
    """
    found: list[str] = []
    taken = {clean(entry.name) for entry in program.inputs} | {clean(entry.name) for entry in program.states}
    count = {"c": 0, "v": 0}
    for _, entry in program.entries():
        known = getattr(entry, "name", "")
        if isinstance(entry, (Input, State)):
            found.append(clean(known))
        elif isinstance(entry, Constant) and not entry.shape:
            found.append(f"{entry.value:g}" if isinstance(entry.value, float) else str(entry.value))
        elif known and clean(known) not in taken:
            taken.add(clean(known))
            found.append(clean(known))
        else:
            letter = "c" if isinstance(entry, Constant) else "v"
            name = f"{letter}{count[letter]}"
            while name in taken:
                count[letter] += 1
                name = f"{letter}{count[letter]}"
            count[letter] += 1
            found.append(name)
    return found


def _head(names: list[str], number: int, entry: Input | State | Constant | Step) -> str:
    if isinstance(entry, Step):
        settings = (
            clean(", ".join(f"{key}={value}" for key, value in entry.params.items()), 200) if entry.params else ""
        )
        inside = ", ".join(names[i] for i in entry.args)
        return f"{names[number]} = {entry.primitive.name}({inside}{', ' * bool(settings and inside)}{settings})"
    kind = {Input: "input", Constant: "constant"}.get(type(entry)) or getattr(entry, "kind", "")
    return f"{names[number]}  [{kind}]"


def _type(entry: Any) -> str:
    if entry.dtype == NUMBER:
        return NUMBER
    return f"({', '.join(map(str, entry.shape))}{',' * (len(entry.shape) == 1)}) {entry.dtype}"
