"""Handwritten digits: MNIST, and the small images of UCI's optical recognition set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import FOLDER, Array, DataFile, checked

MNIST = DataFile("mnist.npz", 11_490_519, "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64")
DIGITS = DataFile("digits.npz", 45_374, "6f801551877abf69fbf3711373bb642a18dc933430a3385cd6febc235225ea6f")


@dataclass(frozen=True)
class Digits:
    """Images of digits as rows of pixels, and their labels.

    Attributes:
        images: float32 of shape (N, pixels), each pixel in 0 to 1.
        labels: int64 of shape (N,), 0 to 9.
    """

    images: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> Digits:
        return Digits(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Splits:
    """Training images, validation images (held out of MNIST's training set) and MNIST's test images."""

    train: Digits
    validation: Digits
    test: Digits


def load_mnist(folder: Path = FOLDER) -> Splits:
    """MNIST with binary pixels (gray value above 127), as the paper's experiment uses it (arXiv:1502.03167, 4.1).

    Of every 24 training images the first and the fourteenth, 5,000 in all, are held out for validation: evenly, because
    the images come in the order of their writers, and as many of even as of odd number, because these differ, as if two
    groups of writers took turns (12.4 % of the pixels of the even ones are ink, 14.0 % of the odd ones').

    Raises:
        DatasetError: see ``checked``.
    """
    with np.load(checked(MNIST, folder)) as archive:
        known = Digits(_binary(archive["x_train"]), archive["y_train"].astype(np.int64))
        test = Digits(_binary(archive["x_test"]), archive["y_test"].astype(np.int64))
    held_out = np.isin(np.arange(len(known)) % 24, (0, 13))
    return Splits(known[~held_out], known[held_out], test)


def load_digits(folder: Path = FOLDER) -> Digits:
    """1,797 images of 8 by 8 pixels: the share of ink in each, in sixteenths (UCI 80, its test part).

    Thirteen people wrote them, and the file does not say who wrote which. A random split has the same writers on both
    sides, so it says nothing about a new one.

    Returns:
        images float32 (1797, 64), row by row; labels int64 (1797,).

    Raises:
        DatasetError: see ``checked``.
    """
    with np.load(checked(DIGITS, folder)) as archive:
        images = archive["x"].reshape(-1, 64).astype(np.float32) / 16
        return Digits(images, archive["y"].astype(np.int64))


def shuffled_digits(seed: int | Sequence[int]) -> Digits:
    """``load_digits`` in the order that ``numpy.random.default_rng(seed)`` draws.

    Raises:
        DatasetError: see ``checked``.
    """
    data = load_digits()
    return data[np.random.default_rng(seed).permutation(len(data))]


def _binary(images: Array) -> Array:
    return (images.reshape(len(images), -1) > 127).astype(np.float32)
