"""Layers: modules with parameters and buffers, all composed of ``ops``.  Names and defaults follow PyTorch."""

from ..variables import Parameter
from . import init
from .activations import ReLU, Sigmoid, Tanh
from .containers import Sequential
from .linear import Linear
from .losses import CrossEntropyLoss, MSELoss
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "CrossEntropyLoss",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "init",
]
