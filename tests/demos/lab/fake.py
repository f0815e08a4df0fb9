"""A demo for the tests of what runs demos: instant, with a hostile name or two, and it counts how often it measures."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from demos.datasets import DIGITS
from demos.lab.demo import Demo
from demos.lab.measure.part import Part, Settings
from demos.lab.show.blocks import Attachment, Code, Drawing, Heading, Plot, Summary, Table, Text, Verdict
from demos.lab.show.evidence import Case

EVIL = "<script>alert(\"x\")</script> & 'quotes'"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="40"><rect width="900" height="40"/></svg>'

CASES = {"yes": (2.0, 1.0, 3.0), "no": (-1.0, -2.0, -0.5), "open": (0.5, None, 2.0)}

calls: list[str] = []


def first(settings: Settings, progress: Any) -> dict[str, Any]:
    calls.append("first")
    return {"values": [float(seed) for seed in progress(list(settings.test_seeds), "seeds")]}


def second(settings: Settings, progress: Any) -> dict[str, Any]:
    calls.append("second")
    return {"full": settings.full}


def show(measured: Any) -> list[Any]:
    values = measured["first"]["values"]
    return [
        Summary(f"In a sentence {EVIL}.", "line"),
        Heading("A heading & more"),
        Text(f"Text with `code<>` and {EVIL}."),
        Code("print('<b>')"),
        Table(
            "numbers",
            f"Caption {EVIL}",
            ("seed", "value" * 30),
            [(str(i), f"{v:g} {EVIL}") for i, v in enumerate(values)],
        ),
        Plot("line", "A line", lambda figure: figure.subplots().plot(values), title=f"Title {EVIL}"),
        Drawing("graph", f"A drawing {EVIL}", SVG),
        Attachment("more.html", "More", lambda path: path.write_text("<p>more</p>")),
        Verdict(
            "first",
            f"Claim {EVIL}",
            f"{sum(values):g} in all",
            "holds if" if "second" in measured else "holds",
            "In `x`.",
            tuple(Case(f"{outcome} {EVIL}", *numbers, 3) for outcome, numbers in CASES.items()),
            f"Short {EVIL}",
            headline="-1 to 2",
        ),
    ]


DEMO = Demo(
    "fake", "A title <i>", f"The lecture says {EVIL}.", (Part("first", first, (DIGITS,), 1), Part("second", second, (), 2)),
    show, seeds=(3, 4), flags={"extra": "more of it"},
)  # fmt: skip


def install(monkeypatch: Any) -> None:
    """Make it a demo like the others, ``demos.fake``."""
    calls.clear()
    module = ModuleType("demos.fake")
    module.DEMO = DEMO  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "demos.fake", module)
    monkeypatch.setattr("demos.lab.command.processors", lambda: 1)  # another process would not know it
