"""Batch Normalization over the rows of several processes: the same formula, with another mean."""

from __future__ import annotations

import math

from .. import ops
from ..engine import scope
from ..engine.mode import current_mode
from ..errors import ArgumentError, explain
from ..functional.batch_norm import Mean
from ..kinds import Shape, Value
from ..parallel import all_reduce, size
from ..tensor import Scalar
from .batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, _BatchNorm
from .module import Module


class SyncBatchNorm(_BatchNorm):
    """Batch Normalization of (N, C) or (N, C, ...), whose batch is the rows of all ranks, as torch.nn.SyncBatchNorm.

    Each rank may have a batch of another length, or none.  Result, gradients of any order and running statistics are those
    of one process with all rows.  In evaluation with running statistics nothing is exchanged.  Arguments and state are as
    in ``BatchNorm1d``.

    Raises:
        ShapeError: fewer than two values per channel on all ranks together.
        CollectiveError: another rank does something else, see ``parallel.all_reduce``.
    """

    input_dims = range(2, 65)
    expects = "(N, C) or (N, C, ...)"

    def _mean(self, shape: Shape) -> tuple[Mean, Value]:
        if not self.training and self.running_mean is not None:
            return ops.mean, None
        own = math.prod(shape[:1] + shape[2:])
        # In a recording a scalar, so that the program counts the rows that it is run on.
        recorded = current_mode().tape is not None
        with scope("count"):
            count = all_reduce(Scalar(float(own), requires_grad=False) if recorded else float(own))

        def mean(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
            return all_reduce(ops.sum(x, axes, keepdims=keepdims)) / count

        # One process without enough rows is refused as by any Batch Normalization.
        return mean, count if size() > 1 or (recorded and own > 1) else None

    @classmethod
    def convert_sync_batchnorm(cls, module: Module) -> Module:
        """The model with a ``SyncBatchNorm`` in the place of each ``BatchNorm1d``, ``BatchNorm2d`` and ``BatchNorm3d``.

        The new layers have the parameters, buffers, settings and hooks of the old ones, so that an optimizer made before
        goes on; the model itself is changed, unless it is such a layer.

        Raises:
            ArgumentError: a subclass of these layers, whose own ``forward`` would be lost; nothing is changed then.
        """
        made: dict[Module, Module] = {}
        for path, layer in module.named_modules():
            if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncBatchNorm):
                if type(layer) not in (BatchNorm1d, BatchNorm2d, BatchNorm3d):
                    got, fix = f"{type(layer).__name__} at {path!r}", "make it a subclass of nn.SyncBatchNorm"
                    raise ArgumentError(explain("convert_sync_batchnorm: a layer of your own", got=got, fix=fix))
                made[layer] = cls.__new__(cls)
                made[layer].__dict__.update(layer.__dict__)
        for holder in list(module.modules()):
            for name, child in list(holder.named_children()):
                if child in made:
                    holder.__dict__[name] = made[child]
        return made.get(module, module)
