"""English words and how many syllables each has."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygrad_bn.errors import ArgumentError, explain

from .files import FOLDER, Array, DataFile, checked

SYLLABLES = DataFile(
    "cmudict_syllables.tsv.gz", 369_773, "7e42642d2cbb3d8eae65e158f730ca855162ad0461a861d6fac63e905e9aa8c3"
)


@dataclass(frozen=True)
class Words:
    """Words of the letters a to z in alphabetical order, and their syllables.

    Attributes:
        words: N different words.
        syllables: int64 of shape (N,), 1 or more.
    """

    words: tuple[str, ...]
    syllables: Array

    def __len__(self) -> int:
        return len(self.words)


def load_syllables(folder: Path = FOLDER) -> Words:
    """117,485 words of 1 to 28 letters and 1 to 12 syllables, from the CMU Pronouncing Dictionary; names are among them.

    The number of syllables is the number of vowels in the first pronunciation the dictionary gives. 1,591 of the words
    have another pronunciation with another number, so no speller can be right about all of them. The order is
    alphabetical: shuffle before splitting.

    Raises:
        DatasetError: see ``checked``.
    """
    with gzip.open(checked(SYLLABLES, folder), "rt", encoding="ascii") as lines:
        next(lines)  # the header
        words, syllables = zip(*(line.split() for line in lines))
    return Words(words, np.array(syllables, dtype=np.int64))


def spelled(words: Iterable[str], length: int) -> Array:
    """Words as rows of letter numbers: a is 1, z is 26, and 0 fills the row behind the last letter.

    Args:
        words: each of 1 to ``length`` letters a to z. Longer words are refused, not cut off.
        length: letters in a row.

    Returns:
        uint8 of shape (N, length).

    Raises:
        ArgumentError: ``length`` is below 1, or a word is empty, too long, or has another character in it.

    Example:
        ``spelled(["cab"], 5)`` is ``[[3, 1, 2, 0, 0]]``.
    """
    if length < 1:
        raise ArgumentError(explain("spelled: a row has at least one letter", got=f"length={length}"))
    words = list(words)
    fits = re.compile(f"[a-z]{{1,{length}}}").fullmatch
    for word in words:
        if not fits(word):
            raise ArgumentError(
                explain(
                    "spelled: a word that does not fit into a row",
                    got=f"{word!r}, {len(word)} characters",
                    expected=f"1 to {length} letters a to z",
                    fix="choose a greater length, or leave out such words",
                )
            )
    before_a = chr(ord("a") - 1)  # fills the row, and becomes 0
    text = "".join(word.ljust(length, before_a) for word in words).encode("ascii")
    return (np.frombuffer(text, dtype=np.uint8) - ord(before_a)).reshape(-1, length)
