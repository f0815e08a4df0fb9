"""Several processes that work on one batch: exchanges with derivatives, gradients over all rows, a loader, a launcher.

MPI (package mpi4py) carries the arrays.  A process that was not started as one of several is alone: every exchange gives
back what it was given, and no MPI is needed.
"""

from .collectives import PRIMITIVES, all_gather, all_reduce, broadcast
from .gradients import backward, broadcast_parameters
from .loader import DataLoader
from .world import rank, size, world

__all__ = [
    "PRIMITIVES", "DataLoader", "all_gather", "all_reduce", "backward", "broadcast", "broadcast_parameters", "rank", "size",
    "world",
]  # fmt: skip
