"""A layer against PyTorch's layer of the same name: value, gradients and second derivatives by input and parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tinygrad_bn as tg
from tests.oracles import Derivatives, assert_same_derivatives, random_like
from tinygrad_bn import nn

Array = np.ndarray[Any, Any]


def of_torch(name: str) -> Any:
    """PyTorch's layer; its SyncBatchNorm refuses processors, and one process alone has nothing to synchronize."""
    return getattr(torch.nn, "BatchNorm1d" if name == "SyncBatchNorm" else name)


def twins(name: str, *args: Any, **settings: Any) -> tuple[nn.Module, torch.nn.Module]:
    """Our layer and PyTorch's, both in float64, with PyTorch's parameters moved off their symmetric first values."""
    torch.manual_seed(0)
    theirs = of_torch(name)(*args, **settings).double()
    with torch.no_grad():
        for i, parameter in enumerate(theirs.parameters()):
            parameter += torch.tensor(random_like(tuple(parameter.shape), 10 + i)) * 0.3
    kind = getattr(nn, name)
    takes_dtype = any(True for _ in theirs.state_dict())
    ours = kind(*args, **settings, dtype=np.float64) if takes_dtype else kind(*args, **settings)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def of_ours(layer: nn.Module, x: Array, cotangent: Array) -> Derivatives:
    point = tg.Tensor(x, requires_grad=True)
    weight = tg.Tensor(cotangent, requires_grad=True)
    variables = [point, *layer.parameters()]
    out = layer(point)
    first = tg.grad(out, variables, weight, create_graph=True)
    pairs = [(g, random_like(g.shape, 2 + i)) for i, g in enumerate(first) if g is not None and g.requires_grad]
    second = tg.grad([g for g, _ in pairs], [*variables, weight], [v for _, v in pairs])
    return Derivatives(out.numpy(), _arrays(first, variables), _arrays(second, [*variables, weight]))


def of_theirs(layer: torch.nn.Module, x: Array, cotangent: Array) -> Derivatives:
    point, weight = torch.tensor(x, requires_grad=True), torch.tensor(cotangent, requires_grad=True)
    variables = [point, *layer.parameters()]
    out = layer(point)
    first = torch.autograd.grad(out, variables, weight, create_graph=True, allow_unused=True)
    pairs = [
        (g, torch.tensor(random_like(tuple(g.shape), 2 + i)))
        for i, g in enumerate(first)
        if g is not None and g.requires_grad
    ]
    second = torch.autograd.grad([g for g, _ in pairs], [*variables, weight], [v for _, v in pairs], allow_unused=True)
    return Derivatives(out.detach().numpy(), _arrays(first, variables), _arrays(second, [*variables, weight]))


def compare(ours: nn.Module, theirs: torch.nn.Module, x: Array, rtol: float = 1e-9) -> None:
    """Both layers on the same input with the same random cotangent."""
    shape = _shape_of_output(theirs, x)
    cotangent = random_like(shape, 1)
    assert_same_derivatives(of_ours(ours, x, cotangent), of_theirs(theirs, x, cotangent), rtol, atol=1e-11)


def _shape_of_output(layer: torch.nn.Module, x: Array) -> tuple[int, ...]:
    """Found by a run that leaves running statistics as they are."""
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    shape = tuple(layer(torch.tensor(x)).shape)
    layer.load_state_dict(state)
    return shape


def _arrays(found: Any, variables: Any) -> list[Array]:
    return [
        np.zeros(tuple(v.shape)) if g is None else g.numpy() if isinstance(g, tg.Tensor) else g.detach().numpy()
        for g, v in zip(found, variables)
    ]
