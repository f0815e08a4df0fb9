"""The picture of a diagnosis: a row for each layer and each parameter, as SVG text."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import clean

if TYPE_CHECKING:
    from .diagnosis import Diagnosis, LayerReport, ParameterReport

# Okabe and Ito's colors, which everyone can tell apart.
BLUE, RED, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
GRAY, LINE, INK = "#6B6B6B", "#E3E3E3", "#1A1A1A"
ROW, CHART, TOP = 50, 30, 66
OUTPUT, GRADIENT, SATURATED, WIDTH = 260, 480, 700, 900  # where the columns begin
BAR = 160  # how wide a chart is
DECADES = (-6, 0)  # of the axis of updates


def picture(found: Diagnosis) -> str:
    """The whole picture."""
    parts: list[str] = []
    y = TOP
    heads = [(16, "layer"), (OUTPUT, "output"), (GRADIENT, "gradient of the loss by it"), (SATURATED, "saturated")]
    parts += [_text(x, y - 12, title, weight="bold") for x, title in heads]
    for layer in found.layers:
        parts += _layer(layer, y)
        y += ROW
    y += 48
    moved = any(parameter.update is not None for parameter in found.parameters)
    scale = {f"1e{d}" if d else "1": _decade(d) for d in range(DECADES[0], DECADES[1] + 1, 2)} if moved else {}
    measure = "a step changes it by, as a share of its size" if moved else "its gradient, as a share of its size"
    parts += [_text(16, y - 26, "parameter", weight="bold"), _text(OUTPUT, y - 26, "size", weight="bold")]
    parts += [_text(GRADIENT, y - 26, measure, weight="bold")]
    parts += [_text(x, y - 8, label, size=11, color=GRAY, anchor="middle") for label, x in scale.items()]
    first = y
    for parameter in found.parameters:
        parts += _parameter(parameter, y, moved)
        y += 24
    left, right = _decade(-4), _decade(-2)
    band = f'<rect x="{left:.1f}" y="{first - 2}" width="{right - left:.1f}" height="{y - first}" fill="#E5F4EE"/>'
    band = band if moved else ""
    lines = [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{first - 2}" y2="{y - 2}" stroke="{LINE}"/>' for x in scale.values()]
    y += 30
    said = found.remarks or ["nothing conspicuous"]
    notes = []
    for remark in said:
        notes.append(_text(16, y, f"● {remark}" if found.remarks else remark, color=RED if found.remarks else GREEN))
        y += 20
    width = max(WIDTH, 40 + 8 * max(len(clean(remark, 300)) for remark in said))
    title = _text(16, 28, f"one training step, undone: loss {found.loss:.4g}", size=16, weight="bold")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" '
        f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13">'
    )
    return "\n".join(
        [head, f'<rect width="{width}" height="{y}" fill="white"/>', title, band, *lines, *parts, *notes, "</svg>\n"]
    )


def _layer(layer: LayerReport, y: int) -> list[str]:
    middle = y + CHART / 2
    name = layer.name if layer.name == layer.kind else f"{layer.name} {layer.kind}"
    drawn = [
        _text(16, middle + 1, name, longest=32),
        _text(16, middle + 15, "×".join(map(str, layer.shape)), size=11, color=GRAY),
    ]
    drawn += _chart(OUTPUT, y, layer.histogram, BLUE, layer.std)
    if layer.gradient_histogram is None:
        drawn.append(_text(GRADIENT, middle + 4, "none", color=GRAY))
    else:
        drawn += _chart(GRADIENT, y, layer.gradient_histogram, ORANGE, layer.gradient_std)
    if layer.saturated is not None:
        color = RED if layer.saturated > 0.5 else GREEN
        share = 100 * layer.saturated
        drawn.append(f'<rect x="{SATURATED}" y="{y + 6}" width="100" height="14" fill="{LINE}"/>')
        drawn.append(f'<rect x="{SATURATED}" y="{y + 6}" width="{share:.1f}" height="14" fill="{color}"/>')
        dead = f", {layer.dead:.0%} dead" if layer.dead else ""
        drawn.append(_text(SATURATED + 106, y + 18, f"{layer.saturated:.0%}{dead}"))
    return drawn


def _chart(
    x: float, y: float, histogram: tuple[tuple[int, ...], float, float], color: str, std: float | None
) -> list[str]:
    """Bars of a histogram over a base line, with the ends of its range below."""
    counts, low, high = histogram
    tallest, wide = max(counts) or 1, BAR / len(counts)
    bars = "".join(
        f"M{x + i * wide:.1f} {y + CHART}v-{CHART * count / tallest:.1f}h{wide - 0.6:.1f}V{y + CHART}z"
        for i, count in enumerate(counts)
        if count
    )
    drawn = [f'<path d="{bars}" fill="{color}"/>'] if bars else []
    drawn.append(f'<line x1="{x}" x2="{x + BAR}" y1="{y + CHART}" y2="{y + CHART}" stroke="{GRAY}"/>')
    drawn += [_text(x, y + CHART + 11, f"{low:.2g}", size=10, color=GRAY)]
    drawn += [_text(x + BAR, y + CHART + 11, f"{high:.2g}", size=10, color=GRAY, anchor="end")]
    if std is not None:
        drawn.append(_text(x + BAR / 2, y + CHART + 11, f"std {std:.2g}", size=10, color=INK, anchor="middle"))
    return drawn


def _parameter(parameter: ParameterReport, y: int, moved: bool) -> list[str]:
    shape = "×".join(map(str, parameter.shape)) or "1"
    drawn = [_text(16, y + 10, f"{parameter.name}  {shape}", longest=34), _text(OUTPUT, y + 10, f"{parameter.std:.3g}")]
    if parameter.update is not None and math.isfinite(parameter.update):
        exponent = math.log10(parameter.update) if parameter.update > 0.0 else -math.inf
        color = BLUE if 1e-6 <= parameter.update <= 0.1 else RED
        x = _decade(min(max(exponent, DECADES[0]), DECADES[1]))
        drawn.append(f'<circle cx="{x:.1f}" cy="{y + 6}" r="5" fill="{color}"/>')
        drawn.append(_text(_decade(DECADES[1]) + 14, y + 10, f"{parameter.update:.1e}"))
    elif not moved and parameter.ratio is not None:
        drawn.append(_text(GRADIENT, y + 10, f"{parameter.ratio:.1e}"))
    else:
        why = "no gradient" if parameter.gradient_std is None else "" if parameter.std else "its size is 0"
        drawn.append(_text(GRADIENT + 8, y + 10, why, color=GRAY))
    return drawn


def _decade(exponent: float) -> float:
    low, high = DECADES
    return GRADIENT + (exponent - low) / (high - low) * 320


def _text(x: float, y: float, text: str, *, size: int = 13, color: str = INK, anchor: str = "start",
          weight: str = "normal", longest: int = 300) -> str:  # fmt: skip
    shown = escape(clean(text, longest), quote=True)
    look: dict[str, Any] = {"font-size": size, "fill": color, "text-anchor": anchor, "font-weight": weight}
    plain = {"font-size": 13, "text-anchor": "start", "font-weight": "normal"}
    given = "".join(f' {name}="{value}"' for name, value in look.items() if plain.get(name) != value)
    return f'<text x="{x:.1f}" y="{y:.1f}"{given}>{shown}</text>'
