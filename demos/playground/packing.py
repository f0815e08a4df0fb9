"""Many programs as one object of plain data: what they have in common stands in it once.

The programs of a playground are made of the same few operations on the same few shapes.  So each distinct operation, input,
state and constant is written once, as ``Program.to_json`` has it, and a program is numbers that point there.  Values of states,
scopes and lines of source are left out: a page gives the states their values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tinygrad_bn.program import Program


def packed(programs: Mapping[str, Iterable[Program]]) -> dict[str, Any]:
    """The programs as JSON has them; ``browser/programs.js`` takes them apart again."""
    places: dict[str, int] = {}

    def place(part: Any) -> int:
        return places.setdefault(json.dumps(part, separators=(",", ":")), len(places))

    def short(program: Program) -> dict[str, Any]:
        document = json.loads(program.to_json())
        return {
            "inputs": [place(part) for part in document["inputs"]],
            "states": [place({**part, "value": None}) for part in document["states"]],
            "constants": [place(part) for part in document["constants"]],
            "steps": [
                [place([name, params, shape, dtype]), *args] for name, args, params, shape, dtype, *_ in document["steps"]
            ],
            **{key: document[key] for key in ("schema", "outputs", "writes", "n", "free", "smallest_n")},
        }  # fmt: skip

    known = {name: [short(program) for program in several] for name, several in programs.items()}
    return {"shared": [json.loads(part) for part in places], "programs": known}
