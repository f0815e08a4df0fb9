"""Optimizers with PyTorch's update rules."""

from .sgd import SGD

__all__ = ["SGD"]
