"""The data files of the demos: found, checked against their SHA-256, loaded.  Sources and licenses: demos/data."""

from .credit import GERMAN, TAIWAN, Table, load_german_credit, load_taiwan_credit
from .files import FOLDER, Array, DataFile, DatasetError, checked
from .images import DIGITS, MNIST, Digits, Splits, load_digits, load_mnist, shuffled_digits
from .words import SYLLABLES, Words, load_syllables, spelled

__all__ = [
    "DIGITS",
    "FOLDER",
    "GERMAN",
    "MNIST",
    "SYLLABLES",
    "TAIWAN",
    "Array",
    "DataFile",
    "DatasetError",
    "Digits",
    "Splits",
    "Table",
    "Words",
    "checked",
    "load_digits",
    "load_german_credit",
    "load_mnist",
    "load_syllables",
    "load_taiwan_credit",
    "shuffled_digits",
    "spelled",
]
