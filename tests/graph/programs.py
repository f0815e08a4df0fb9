"""Small programs whose graphs the tests of this folder look at."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_bn as tg

COTANGENT = np.array([[1.0], [0.0], [0.0], [0.0]])

# Names that could break or inject something in DOT, SVG, HTML, Mermaid or JSON.
HOSTILE = [
    '"', "\\", "a\\", '"]; evil [label="', "<b>", "<script>alert(1)</script>", "&amp;", "&#x41;", "{0}", "{1} {x}", "\\N",
    "a:b", "x" * 10_000, "\x00\x07\x1b", "\ud800", "日本 ḡ", "]]>", "--", "%", "`", "#", "", " ",
]  # fmt: skip


def batch_norm(name: str = "x") -> tuple[Any, Any]:
    """Batch Normalization of [1, 2, 3, 4]: the layer and its output."""
    layer = tg.nn.BatchNorm1d(1, dtype=float)
    x = tg.Tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True, name=name)
    y = layer(x)
    y.name = "y"
    return layer, y


def batch_norm_of_scalars() -> Any:
    """The same, one scalar at a time."""
    return tg.functional.batch_norm(tg.scalarize([[1.0], [2.0], [3.0], [4.0]], name="x"), training=True)


def network() -> tuple[Any, Any]:
    """A small network with batch normalization, and its loss."""
    tg.manual_seed(0)
    net = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.BatchNorm1d(4), tg.nn.Sigmoid(), tg.nn.Linear(4, 2))
    x = np.arange(15.0).reshape(5, 3).astype(np.float32) % 4
    return net, tg.functional.cross_entropy(net(x), np.array([0, 1, 0, 1, 1]))
