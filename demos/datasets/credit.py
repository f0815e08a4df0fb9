"""Two tables of borrowers, with what became of the loan as the label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import FOLDER, Array, DataFile, checked

GERMAN = DataFile("german_credit.csv.gz", 13_032, "c63f00cb150643b528d892b56d2e832db09cc34674200ff26a22912c6549ec93")
TAIWAN = DataFile(
    "credit_default_taiwan.csv.gz", 910_740, "411d93657e1d4abe94deb4ea79aadbd4ece8376f1085422629c7fdedd7e39071"
)

GERMAN_SENSITIVE = ("personal_status_sex", "age", "foreign_worker")
TAIWAN_SENSITIVE = ("SEX", "EDUCATION", "MARRIAGE", "AGE")


@dataclass(frozen=True)
class Table:
    """Borrowers as rows of numbers, as they stand in the file: neither scaled nor shuffled.

    Attributes:
        x: float32 of shape (N, F).
        y: int64 of shape (N,); 1 where the loan went bad, else 0.
        names: what each of the F columns of ``x`` is. ``"savings=A65"`` is 1 for the rows with code A65, else 0.
        left_out: the sensitive columns of the file that are not in ``x``.
    """

    x: Array
    y: Array
    names: tuple[str, ...]
    left_out: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> Table:
        return Table(self.x[rows], self.y[rows], self.names, self.left_out)


def load_german_credit(*, sensitive: bool = False, folder: Path = FOLDER) -> Table:
    """1,000 loans of a German bank, 1973 to 1975 (UCI 144, Statlog German Credit); 300 went bad.

    Seven columns are numbers; each of the other thirteen becomes one column of zeros and ones for each code that occurs,
    in all 61. The bad loans were oversampled, so 30 % is not a rate of default, and the published meanings of the
    codes are partly wrong (Groemping 2019): no conclusion can be drawn from a single code.

    Args:
        sensitive: whether to keep ``GERMAN_SENSITIVE``. Those columns are left out unless asked for, which leaves 54:
            lenders may not decide by sex, marital status, age or national origin (in the USA: Equal Credit Opportunity
            Act, 15 U.S.C. 1691). Other columns may stand in for them, so leaving them out does not make a score fair.
        folder: where the data files are.

    Raises:
        DatasetError: see ``checked``.
    """
    return _table(checked(GERMAN, folder), "class", "2", () if sensitive else GERMAN_SENSITIVE)


def load_taiwan_credit(*, sensitive: bool = False, folder: Path = FOLDER) -> Table:
    """30,000 credit card clients of a bank in Taiwan, April to September 2005 (UCI 350); 6,636 defaulted in October.

    All columns stay the whole numbers they are, 23 in all. ``PAY_*`` grows with the months in arrears from 1 on; the
    values -2 and 0 are not documented, so the distance between -2, -1 and 0 carries no known meaning. ``EDUCATION`` and
    ``MARRIAGE`` are codes, some of them undocumented.

    Args:
        sensitive: whether to keep ``TAIWAN_SENSITIVE``. Those columns are left out unless asked for, which leaves 19:
            sex, marital status and age for the reason given at ``load_german_credit``, education as a likely stand-in.
        folder: where the data files are.

    Raises:
        DatasetError: see ``checked``.
    """
    return _table(checked(TAIWAN, folder), "DEFAULT", "1", () if sensitive else TAIWAN_SENSITIVE)


def _table(path: Path, label: str, bad: str, left_out: tuple[str, ...]) -> Table:
    cells = np.loadtxt(path, dtype=str, delimiter=",")
    source = {str(name): column for name, column in zip(cells[0], cells[1:].T)}
    y = (source.pop(label) == bad).astype(np.int64)
    columns: dict[str, Array] = {}
    for name, column in source.items():
        if name in left_out:
            continue
        if column[0][0].isalpha():  # codes such as A65
            for code in sorted({str(code) for code in column}, key=lambda code: (len(code), code)):  # A410 after A49
                columns[f"{name}={code}"] = column == code
        else:
            columns[name] = column.astype(np.float32)
    return Table(np.stack(list(columns.values()), axis=1, dtype=np.float32), y, tuple(columns), left_out)
