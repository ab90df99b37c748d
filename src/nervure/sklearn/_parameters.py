# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""Parameters within parameters, for searches: ``optimizer__learning_rate``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nervure.base.words import unknown
from nervure.losses import loss
from nervure.optimizers import optimizer
from nervure.regularizers import regularizer
from nervure.sklearn._training import early_stopping_of

DESCRIBED: dict[str, Callable[[Any], Any]] = {
    "optimizer": optimizer,
    "loss": loss,
    "regularizer": regularizer,
    "early_stopping": early_stopping_of,
    "layers": lambda found: found,
    "encoder": lambda found: found,
    "decoder": lambda found: found,
}
"""Parameters that hold a described object, or a list of them, and what finds it."""


class NestedParameters:
    """Gets and sets what objects in the parameters of an estimator are described by.

    An optimizer, a loss, a schedule or a layer is never changed: another takes its
    place. A name ("adam") and a table stand for the object that they describe.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters; with ``deep`` also ``optimizer__learning_rate``,
        ``layers__0__units`` and their like."""
        found: dict[str, Any] = super().get_params(deep=deep)  # pyright: ignore
        if not deep:
            return found
        inner: dict[str, Any] = {}
        for name in DESCRIBED.keys() & found.keys():
            inner |= _inner(name, _described(name, found[name]))
        return {**found, **inner}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by the names of `get_params`.

        Raises:
            ValueError: there is no such parameter.
        """
        own, inner = _grouped(params)
        described = {name: inner.pop(name) for name in DESCRIBED.keys() & inner.keys()}
        others = {f"{a}__{b}": v for a, more in inner.items() for b, v in more.items()}
        super().set_params(**own, **others)  # pyright: ignore
        for name, changes in described.items():
            if not hasattr(self, name):
                super().set_params(**{name: changes})  # pyright: ignore - says so
            found = getattr(self, name)
            if found is None:
                raise ValueError(
                    f"[{name}] None, which has no parameter {next(iter(changes))!r}; "
                    f"expected an object that has; set {name}= first, or with it"
                )
            setattr(self, name, _changed(DESCRIBED[name](found), changes, name))
        return self


def _described(name: str, value: Any) -> Any:
    """What a parameter stands for; None where it is wrong, which `fit` will say."""
    try:
        return None if value is None else DESCRIBED[name](value)
    except (ValueError, TypeError):
        return None


def _parts(value: Any) -> dict[str, Any]:
    """What an object is described by, or the numbered objects of a list."""
    if isinstance(value, list | tuple):
        described = any(_parts(one) for one in value)
        return {str(i): one for i, one in enumerate(value)} if described else {}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return {}
    fields = (field.name for field in dataclasses.fields(value) if field.init)
    return {name: getattr(value, name) for name in fields}


def _inner(name: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, one in _parts(value).items():
        found[f"{name}__{part}"] = one
        found |= _inner(f"{name}__{part}", one)
    return found


def _grouped(
    params: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What is set itself, and what is set within which."""
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for key, value in params.items():
        name, mark, rest = key.partition("__")
        if mark:
            inner.setdefault(name, {})[rest] = value
        else:
            own[name] = value
    return own, inner


def _changed(value: Any, changes: Mapping[str, Any], where: str) -> Any:
    """The object with other parts."""
    own, inner = _grouped(changes)
    parts = _parts(value)
    for name in {**own, **inner}:
        if name not in parts:
            raise ValueError(unknown(where, "parameter", name, parts))
    now = {**parts, **own}
    for name, more in inner.items():
        now[name] = _changed(now[name], more, f"{where}__{name}")
    if isinstance(value, list | tuple):
        return type(value)(now.values())
    return dataclasses.replace(value, **now)
