"""A graph as a demo keeps it: as DOT and as text, laid out where it is shown."""

from __future__ import annotations

from typing import Any

from tinygrad_bn.graph import Picture


def kept(picture: Picture) -> dict[str, Any]:
    """A picture as data: its DOT source, the graph as text, and how many nodes it has."""
    return {"dot": picture.source, "text": picture.text(), "nodes": len(picture.graph)}
