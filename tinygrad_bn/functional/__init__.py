"""Textbook formulas written in ``ops``; none of them has a derivative rule of its own."""

from .activations import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh
from .batch_norm import batch_norm, standardize
from .convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .dropout import dropout
from .elementwise_losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)  # fmt: skip
from .embedding import embedding
from .losses import cross_entropy, nll_loss
from .norms import group_norm, instance_norm, layer_norm, rms_norm
from .padding import pad
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)  # fmt: skip

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cross_entropy", "dropout", "elu", "embedding", "gelu",
    "group_norm", "huber_loss", "instance_norm", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "log_softmax",
    "max_pool1d", "max_pool2d", "max_pool3d", "mse_loss", "nll_loss", "pad", "relu", "rms_norm", "sigmoid", "silu",
    "smooth_l1_loss", "softmax", "softplus", "standardize", "tanh",
]  # fmt: skip
