"""Data for training: arrays that belong together, batches of them, splits and scaling."""

from .dataset import ArrayDataset, Subset
from .loader import DataLoader
from .scaling import StandardScaler
from .splits import random_split
from .stacking import collate

__all__ = ["ArrayDataset", "DataLoader", "StandardScaler", "Subset", "collate", "random_split"]
