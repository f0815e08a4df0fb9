"""Batch Normalization in plain NumPy, for comparison: the paper's formulas, nothing of the library.

Everything here also takes complex arrays, so that its own derivatives come from the complex step: f'(x) is the imaginary
part of f(x + ih) over h, without cancellation, so h can be tiny (Squire and Trapp 1998, SIAM Review 40(1)).
"""

import numpy as np

STEP = 1e-30

# (N, C), (N, C, L), (N, C, H, W), and the smallest batch there is.
SHAPES = [(7, 3), (2, 3), (4, 3, 5), (3, 2, 4, 3)]


def axes_of(x):
    return (0, *range(2, x.ndim))


def per_channel(value, x):
    return value.reshape((1, -1) + (1,) * (x.ndim - 2))


def statistics(x, eps):
    """x_hat, and the root of variance + eps, of shape (1, C, 1, ...)."""
    mean = x.mean(axes_of(x), keepdims=True)
    variance = ((x - mean) ** 2).mean(axes_of(x), keepdims=True)
    root = np.sqrt(variance + eps)
    return (x - mean) / root, root


def backward(x, weight, dy, eps):
    """The closed form that follows from section 3 of arXiv:1502.03167: dx, dgamma, dbeta."""
    x_hat, root = statistics(x, eps)
    m = x.size // x.shape[1]
    total = dy.sum(axes_of(x), keepdims=True)
    along = (dy * x_hat).sum(axes_of(x), keepdims=True)
    dx = per_channel(weight, x) / (m * root) * (m * dy - total - x_hat * along)
    return dx, (dy * x_hat).sum(axes_of(x)), dy.sum(axes_of(x))


def complex_step(function, arrays):
    """The gradient of a function with one number as value, with respect to each of its arrays."""
    gradients = []
    for position, array in enumerate(arrays):
        gradient = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            moved = [a.astype(complex) for a in arrays]
            moved[position][index] += 1j * STEP
            gradient[index] = np.imag(function(*moved)) / STEP
        gradients.append(gradient)
    return gradients


def problem(shape, seed=0, dtype=float):
    """x, weight, bias and a random cotangent."""
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(0.7, 1.5, shape)
    weight, bias = rng.uniform(0.5, 2.0, shape[1]), rng.standard_normal(shape[1])
    return tuple(array.astype(dtype) for array in (x, weight, bias, rng.standard_normal(shape)))
