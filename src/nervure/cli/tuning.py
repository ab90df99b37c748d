# SPDX-License-Identifier: BSD-3-Clause
"""``nervure tune``: search for the best values of a spec's keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nervure.base import toml
from nervure.base.words import is_table, short
from nervure.cli.standard_input import refuse_standard_input
from nervure.cli.training import (
    INTERRUPTED,
    Request,
    asked_for,
    latest_folder,
    new_folder,
)
from nervure.spec.tables import SpecError
from nervure.tuning import Tuning
from nervure.tuning.search import tune as search
from nervure.tuning.study import optuna

TUNES = Path("tunes")


def tune(
    request: Request, vary: Sequence[str], limits: Mapping[str, float | None]
) -> int:
    """Search as asked, tell what was found and where it lies; the exit code."""
    optuna()  # before any data is read
    space = dict(map(_range, vary)) or None
    options: dict[str, Any] = {k: v for k, v in limits.items() if v is not None}
    options |= {"progress": not request.quiet, "space": space}
    if request.resume:
        folder = request.out or latest_folder(request.source, TUNES)
        if request.sets or request.spec:
            raise SpecError(
                "[--resume] a search that has begun keeps its spec; expected no --set "
                "and no --spec with it; leave them out, or begin a new search"
            )
        found = search(directory=folder, resume=True, **options)
    else:
        refuse_standard_input(request.source, "tune")
        spec, dataset = asked_for(request)
        with new_folder(request, spec.data, TUNES) as folder:
            print(dataset.summary(), flush=True)
            found = search(spec, dataset, directory=folder, **options)
    return _finish(found, folder)


def _range(text: str) -> tuple[str, Any]:
    """The key and the range of ``--vary``."""
    key, equals, value = text.partition("=")
    found = toml.parse_value(value.strip())
    if not equals or not is_table(found):
        raise SpecError(
            f"[--vary] found {short(text)}; expected a key and its range, as "
            "'layer.1.rate={low=0.0, high=0.5}'; quote it for the shell"
        )
    return key.strip(), found


def _finish(found: Tuning, folder: Path) -> int:
    print(found.summary())
    if found.best is not None:
        print(f"\nsaved in {folder} (best.toml, report.md, report.json)")
        print(f"train the best with: nervure train --spec {folder / 'best.toml'}")
    if found.stopped is None:
        return 0
    print(f"{found.stopped}; go on with: nervure tune --resume --out {folder}")
    return INTERRUPTED if found.stopped == "interrupted" else 0
