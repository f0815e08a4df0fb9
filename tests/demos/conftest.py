"""What the tests of several demos need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demos.datasets import Splits, load_mnist
from demos.lab.show import drawings
from tinygrad_bn.graph import layout


@pytest.fixture(scope="session")
def mnist() -> Splits:
    """Read once: it takes seconds."""
    return load_mnist()


@pytest.fixture
def without_layout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if no program that lays out graphs were installed."""
    monkeypatch.setattr(layout, "programs", lambda kind: [])
    monkeypatch.setattr(drawings, "programs", lambda kind: [])
    drawings.laid_out.cache_clear()
    yield
    drawings.laid_out.cache_clear()
