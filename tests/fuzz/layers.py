"""Convolution, pooling, normalization and cross-entropy as steps, in this library and in PyTorch, written apart.

A step has one argument; kernels are made of it (a fixed pattern times its mean), so that they have gradients, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tinygrad_bn import functional, ops

F = torch.nn.functional


def _pattern(shape: tuple[int, ...]) -> np.ndarray:
    return np.sin(1.0 + np.arange(int(np.prod(shape)))).reshape(shape)


def _kernel(x: Any, shape: tuple[int, ...]) -> Any:
    return (ops.mean(x) + 0.5) * _pattern(shape).astype(x.dtype)


def _torch_kernel(x: Any, shape: tuple[int, ...]) -> Any:
    return (x.mean() + 0.5) * torch.tensor(_pattern(shape), dtype=x.dtype)


def _conv(n: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    ours, theirs = (functional.conv1d, functional.conv2d)[n - 1], (F.conv1d, F.conv2d)[n - 1]

    def this(x: Any, out: int, k: int, stride: int, padding: Any, dilation: int) -> Any:
        return ours(x, _kernel(x, (out, x.shape[1], *(k,) * n)), stride=stride, padding=padding, dilation=dilation)

    def other(x: Any, out: int, k: int, stride: int, padding: Any, dilation: int) -> Any:
        kernel = _torch_kernel(x, (out, x.shape[1], *(k,) * n))
        with warnings.catch_warnings():  # that "same" with an even kernel may cost a copy
            warnings.simplefilter("ignore", UserWarning)
            return theirs(x, kernel, stride=stride, padding=padding, dilation=dilation)

    return this, other


def _transposed(x: Any, out: int, k: int, stride: int) -> Any:
    return functional.conv_transpose1d(x, _kernel(x, (x.shape[1], out, k)), stride=stride)


def _torch_transposed(x: Any, out: int, k: int, stride: int) -> Any:
    return F.conv_transpose1d(x, _torch_kernel(x, (x.shape[1], out, k)), stride=stride)


LAYERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "conv1d": _conv(1),
    "conv2d": _conv(2),
    "conv_transpose1d": (_transposed, _torch_transposed),
    "max_pool1d": (functional.max_pool1d, F.max_pool1d),
    "max_pool2d": (functional.max_pool2d, F.max_pool2d),
    "avg_pool1d": (functional.avg_pool1d, F.avg_pool1d),
    "avg_pool2d": (functional.avg_pool2d, F.avg_pool2d),
    "batch_norm": (
        lambda x, eps: functional.batch_norm(x, training=True, eps=eps),
        lambda x, eps: F.batch_norm(x, None, None, training=True, eps=eps),
    ),
    "batch_norm with statistics": (
        lambda x, eps: functional.batch_norm(x, *_statistics(x), training=False, eps=eps),
        lambda x, eps: F.batch_norm(x, *_torch_statistics(x), training=False, eps=eps),
    ),
    "cross_entropy": (
        lambda x, labels, how, smooth: functional.cross_entropy(
            x, np.array(labels), reduction=how, label_smoothing=smooth
        ),
        lambda x, labels, how, smooth: F.cross_entropy(x, torch.tensor(labels), reduction=how, label_smoothing=smooth),
    ),
}


def _statistics(x: Any) -> tuple[Any, Any]:
    pattern = _pattern((x.shape[1],)).astype(x.dtype)
    return pattern, pattern * pattern + np.asarray(0.5, x.dtype)


def _torch_statistics(x: Any) -> tuple[Any, Any]:
    pattern = torch.tensor(_pattern((x.shape[1],)), dtype=x.dtype)
    return pattern, pattern * pattern + 0.5
