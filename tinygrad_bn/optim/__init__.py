"""Optimizers, schedules and gradient clipping with PyTorch's rules, names and defaults."""

from .adagrad import Adagrad
from .adam import Adam, AdamW
from .clip import clip_grad_norm_, clip_grad_value_
from .lbfgs import LBFGS
from .nadam import NAdam
from .optimizer import Optimizer
from .per_parameter import PerParameter
from .radam import RAdam
from .rmsprop import RMSprop
from .schedules import CosineAnnealingLR, LinearLR, OneCycleLR, Schedule, SequentialLR, StepLR
from .sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LinearLR",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "PerParameter",
    "RAdam",
    "RMSprop",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]
