"""Columns of mean 0 and standard deviation 1, by the statistics of the training part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError, explain, native
from ..kinds import Array


class StandardScaler:
    """``(x - mean) / std``, column by column.  Fit it on the training part, and on nothing else.

    ::

        scaler = StandardScaler().fit(train_x)
        train_x, test_x = scaler.transform(train_x), scaler.transform(test_x)

    (Statistics of the test part would tell the model about data it is later judged by.)  A column that is constant in
    the training part is only shifted.

    Attributes:
        mean, scale: of shape x.shape[1:], float64; ``None`` before ``fit``.  ``scale`` is the standard deviation of the
            rows themselves (divided by N), or 1 for a constant column.
    """

    mean: Array | None
    scale: Array | None

    def __init__(self) -> None:
        self.mean = self.scale = None

    def fit(self, x: Any) -> StandardScaler:
        """Take the statistics of the rows of x, shape (N, ...), computed in float64; returns the scaler.

        Raises:
            ShapeError: no rows.
            ArgumentError: NaN, infinity, or numbers whose squares overflow; the scaler stays as it was.
        """
        rows = np.asarray(native(x, "StandardScaler"))
        if rows.ndim < 1 or rows.shape[0] == 0:
            raise ShapeError(explain("StandardScaler.fit: rows of numbers", got=f"shape {rows.shape}"))
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
        if not (np.isfinite(mean).all() and np.isfinite(std).all()):
            column = np.argwhere(~np.isfinite(std))[0].tolist()
            fix = "replace what is missing before scaling"
            raise ArgumentError(explain(f"StandardScaler.fit: column {column} has no finite statistics", fix=fix))
        constant = (rows.max(0) == rows.min(0)) | (std == 0.0)  # the computed std of equal numbers need not be 0
        self.mean, self.scale = np.asarray(mean), np.asarray(np.where(constant, 1.0, std))
        return self

    def transform(self, x: Any) -> Array:
        """Scaled rows: of x's dtype if that is floating-point, else float64.

        Raises:
            ArgumentError: before ``fit``.
            ShapeError: other columns than in ``fit``.
        """
        rows, mean, scale = self._ready(x)
        return np.asarray((rows - mean) / scale, rows.dtype)

    def inverse_transform(self, x: Any) -> Array:
        """Undo ``transform``; dtypes and errors as there."""
        rows, mean, scale = self._ready(x)
        return np.asarray(rows * scale + mean, rows.dtype)

    def _ready(self, x: Any) -> tuple[Array, Array, Array]:
        if self.mean is None or self.scale is None:
            raise ArgumentError(explain("StandardScaler knows no statistics yet", fix="scaler.fit(train_x) first"))
        rows = np.asarray(native(x, "StandardScaler"))
        if rows.ndim < 1 or rows.shape[1:] != self.mean.shape:
            expected = f"(N, {', '.join(map(str, self.mean.shape))})"
            raise ShapeError(explain("StandardScaler: other columns", got=f"shape {rows.shape}", expected=expected))
        return rows if rows.dtype.kind == "f" else rows.astype(np.float64), self.mean, self.scale

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Copies of the statistics."""
        return {
            name: None if value is None else np.array(value)
            for name, value in (("mean", self.mean), ("scale", self.scale))
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over statistics.

        Raises:
            ArgumentError: something else; nothing is changed then.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Check a state, as ``load_state_dict`` does; the result takes it over and cannot fail."""
        if not isinstance(state, Mapping) or set(state) != {"mean", "scale"}:
            raise ArgumentError(explain("StandardScaler.load_state_dict: 'mean' and 'scale' expected"))
        given = [state["mean"], state["scale"]]
        mean, scale = arrays = [None if value is None else np.array(value) for value in given]
        if (mean is None) != (scale is None):
            raise ArgumentError(explain("StandardScaler.load_state_dict: one of 'mean' and 'scale' is missing"))
        if mean is not None and scale is not None:
            numbers = all(a is not None and a.dtype == np.float64 and np.isfinite(a).all() for a in arrays)
            if not numbers or mean.shape != scale.shape or not (scale > 0).all():
                got = f"mean {mean.dtype} {mean.shape}, scale {scale.dtype} {scale.shape}"
                expected = "finite float64 of one shape, every scale above 0"
                raise ArgumentError(
                    explain("StandardScaler.load_state_dict: no statistics", got=got, expected=expected)
                )

        def commit() -> None:
            self.mean, self.scale = mean, scale

        return commit
