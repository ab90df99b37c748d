# SPDX-License-Identifier: BSD-3-Clause
"""Specs: a network, its data and its training as a TOML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.base.lazy import loader

if TYPE_CHECKING:
    from nervure.spec.reading import load_spec, parse_spec
    from nervure.spec.tables import (
        DataSpec,
        EnsembleSpec,
        Spec,
        SpecError,
        TrainingSpec,
    )
    from nervure.spec.written import save_spec, write_spec

__all__ = [
    "DataSpec",
    "EnsembleSpec",
    "Spec",
    "SpecError",
    "TrainingSpec",
    "load_spec",
    "parse_spec",
    "save_spec",
    "write_spec",
]

_HOMES = {
    "DataSpec": ".tables",
    "EnsembleSpec": ".tables",
    "Spec": ".tables",
    "SpecError": ".tables",
    "TrainingSpec": ".tables",
    "load_spec": ".reading",
    "parse_spec": ".reading",
    "save_spec": ".written",
    "write_spec": ".written",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
