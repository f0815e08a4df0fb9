"""Names at the limit of their length, and where a parameter that several scopes share is drawn."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import LONGEST, clean
from tinygrad_bn.graph import draw


@pytest.mark.parametrize("length", [1, LONGEST - 1, LONGEST])
def test_a_name_up_to_its_limit_is_shown_whole(length):
    assert clean("n" * length) == "n" * length


@pytest.mark.parametrize("length", [LONGEST + 1, LONGEST + 2, 10 * LONGEST])
def test_a_longer_one_is_cut_to_the_limit_and_says_so(length):
    assert clean("n" * length) == "n" * (LONGEST - 1) + "…"
    assert clean("n" * length, 5) == "nnnn…"


def box_of(source, name):
    """The boxes (clusters) around the node of this name, from the outside in."""
    around = []
    for line in source.splitlines():
        opened = re.match(r'\s*subgraph "?(cluster[^"\s{]*)', line)
        if opened:
            around.append(opened.group(1))
        elif line.strip() == "}" and around:
            around.pop()
        elif f"<B>{name}</B>" in line:
            return tuple(around)
    raise AssertionError(f"no node {name} in\n{source}")


class Twice(nn.Module):
    """One weight, used by two modules below it or by one."""

    def __init__(self, shared):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        if shared:
            self.second.weight = self.first.weight
        self.first.weight.name = "common"

    def forward(self, x):
        return self.second(self.first(x))


def test_a_shared_parameter_is_drawn_around_both_and_an_own_one_inside():
    inside = box_of(draw(Twice(False)(tg.Tensor(np.ones((1, 2))))).source, "common")
    around = box_of(draw(Twice(True)(tg.Tensor(np.ones((1, 2))))).source, "common")
    assert len(around) == len(inside) - 1
    assert inside[: len(around)] == around
