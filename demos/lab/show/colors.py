"""One meaning for each color, over all demos: what is red in one picture is the plain network in every picture.

A meaning has two colors, one to stand on white and one on a dark page.  Lines differ in more than color where they can.
"""

from __future__ import annotations

from .evidence import Outcome

INK, PAPER, GRAY, GRID = "#000000", "#FFFFFF", "#6B6B6B", "#E3E3E3"
GROUND = {INK: "#E6EDF3", PAPER: "#0D1117", GRAY: "#9DA7B3", GRID: "#30363D"}  # of every picture, on a dark page

MEANINGS: dict[str, tuple[str, str]] = {
    # The two networks of nearly every comparison.
    "without Batch Normalization": ("#C8102E", "#FF7F8B"),
    "with Batch Normalization": ("#0060A8", "#6CB6FF"),
    # Kinds of Batch Normalization.
    "BN at a small learning rate": ("#5F98D6", "#BBDDFF"),
    "BN at a large learning rate": ("#12305E", "#3F7FD8"),
    "BN over a process's own rows": ("#0A9BC4", "#4FD8F5"),
    # Other models and norms.
    "logistic regression": ("#5D4037", "#C9A596"),
    "RMS normalization": ("#6F9600", "#B5E03A"),
    "layer normalization": ("#4B5D00", "#8FA532"),
    # What a step is counted in.
    "steps": ("#00877A", "#4AD6C8"),
    "CPU time": ("#DB7500", "#FF9A3D"),
    # Depth: the deeper, the darker.
    "one layer": ("#A27DDA", "#E0CFFF"),
    "two layers": ("#7E4CC0", "#B894F5"),
    "many layers": ("#3F1872", "#8457E0"),
    "a tree of units": ("#5F6FA8", "#A9B6EA"),
    # Layers of windows: the more, the darker.
    "small windows": ("#B08D00", "#FFF0B8"),
    "wide windows": ("#8C6F00", "#D9C27A"),
    "two layers of windows": ("#544300", "#A08A45"),
    # Where weights come from.
    "weights trained on a wave": ("#00A078", "#8CF5B8"),
    "weights trained on digits": ("#D65FA5", "#FFB3DC"),
    "random weights": ("#8F8F8F", "#B8B8B8"),
    # Measures of smoothness.
    "range of the loss": ("#2E4A6B", "#86B5D9"),
    "change of the gradient": ("#A0522D", "#E39A78"),
    "change of the gradient per distance": ("#5E8C8C", "#A5D6D6"),
    # Verdicts.
    "holds": ("#00694F", "#3FCF9F"),
    "holds if": ("#9A6700", "#E3B341"),
    "not decided": ("#57606A", "#9DA7C0"),
    "does not hold": ("#8A2A7B", "#E58FD6"),
}


def of(meaning: str) -> str:
    """The color of a meaning, on white."""
    return MEANINGS[meaning][0]


PLAIN, BN = of("without Batch Normalization"), of("with Batch Normalization")
STEPS, CPU = of("steps"), of("CPU time")
DEPTHS = (of("one layer"), of("two layers"), of("many layers"))
HOLDS, FAILS, OPEN = of("holds"), of("does not hold"), of("not decided")
ANSWERS = {"yes": HOLDS, "no": FAILS, "open": OPEN}

# Shapes beside the colors: filled, half filled, hollow with a question, a cross.
MARKS: dict[Outcome, str] = {"holds": "✓", "holds if": "◐", "not decided": "?", "does not hold": "✗"}


def variable(color: str) -> str:
    """The name of a color on the page, where it depends on the theme."""
    return f"--c{color.lstrip('#').lower()}"


def style() -> str:
    """The colors as variables of a page: for a light one, and for a dark one."""
    pairs = {
        **{light: (light, dark) for light, dark in GROUND.items()},
        **{pair[0]: pair for pair in MEANINGS.values()},
    }
    light, dark = (" ".join(f"{variable(name)}: {pair[i]};" for name, pair in pairs.items()) for i in (0, 1))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
