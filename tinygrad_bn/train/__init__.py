"""Training: the loop, evaluation, and checkpoints to continue from.

A package of its own, because it is the one floor that knows models, optimizers, data and the random generator at once.
"""

from .callbacks import BestCheckpoint, EarlyStopping
from .checkpoint import CheckpointError, LoadedPart, load_checkpoint, save_checkpoint
from .diagnosis import Diagnosis, diagnose
from .evaluation import accuracy, evaluate
from .loop import Run, fit

__all__ = [
    "BestCheckpoint", "CheckpointError", "Diagnosis", "EarlyStopping", "LoadedPart", "Run", "accuracy", "diagnose",
    "evaluate", "fit", "load_checkpoint", "save_checkpoint",
]  # fmt: skip
