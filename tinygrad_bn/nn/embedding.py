"""A table of trained rows."""

from __future__ import annotations

import numpy as np

from .. import functional
from ..errors import ArgumentError, explain
from ..functional.settings import floating, whole
from ..kinds import DTypeLike, Value
from ..tensor import Parameter
from . import init
from .module import Module


class Embedding(Module):
    """One trained vector per index, as torch.nn.Embedding; see ``functional.embedding``.

    Args:
        num_embeddings: V, the number of rows.
        embedding_dim: D, the length of a row.
        padding_idx: a row that starts as zeros and gets no gradient; counted from the end if negative.
        dtype: of the table.

    Shapes: integers of any shape in, that shape + (D,) out; ``weight`` (V, D), standard normal at first.

    Raises:
        ArgumentError, DTypeError: settings out of range.  On a call, errors as ``functional.embedding``.
    """

    _fixed = ("num_embeddings", "embedding_dim")

    weight: Parameter

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, dtype: DTypeLike = np.float32
    ) -> None:
        super().__init__()
        dtype = floating("Embedding", dtype)
        num_embeddings = whole("Embedding", "num_embeddings", num_embeddings, 0)
        embedding_dim = whole("Embedding", "embedding_dim", embedding_dim, 0)
        if padding_idx is not None:
            padding_idx = whole("Embedding", "padding_idx", padding_idx)
            if not -num_embeddings <= padding_idx < num_embeddings:
                expected = f"{-num_embeddings} to {num_embeddings - 1}"
                raise ArgumentError(explain("Embedding: padding_idx", got=padding_idx, expected=expected))
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        table = init.normal((num_embeddings, embedding_dim), dtype=dtype)
        if padding_idx is not None:
            table[padding_idx] = 0.0
        self.weight = Parameter(table)

    def forward(self, x: Value) -> Value:
        return functional.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        filler = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{filler}"
