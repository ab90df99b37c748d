# SPDX-License-Identifier: BSD-3-Clause
"""Which layer of a Keras model is called on what: as Keras 3 writes it, and as 2 did.

Since Keras 3 a call has ``args`` and ``kwargs``, in which a value is a table with its
``keras_history``: the layer, the number of its call, the number of its output. Before,
a call was a list of ``[layer, call, output, further arguments]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nervure.base.words import is_list, is_table, short
from nervure.exchange._held import NotCoveredError

MOST_ARGUMENTS = 10_000


@dataclass(frozen=True)
class Ref:
    """A value: an output of one call of a layer."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True)
class Call:
    """One call: the values that it reads, all arguments in order, options by name."""

    refs: tuple[Ref, ...]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


_VALUES = ("inputs", "query", "value", "key", "initial_state")
"""Arguments by name that hold values, in the order in which layers take them."""

_NOTHING = ("mask", "training")


def calls_of(layer: Mapping[str, Any]) -> list[Call]:
    """The calls of a layer.

    Raises:
        NotCoveredError: an argument is none that layers take.
    """
    nodes: Any = layer.get("inbound_nodes") or []
    if not is_list(nodes):
        raise NotCoveredError(f"calls {short(nodes)}")
    return [_call(node) for node in nodes]


def _call(node: Any) -> Call:
    if is_table(node):
        return _of_arguments(node.get("args") or [], node.get("kwargs") or {})
    if not is_list(node):
        raise NotCoveredError(f"a call {short(node)}")
    whole: list[Any] = [node] if node and isinstance(node[0], str) else list(node)
    options: dict[str, Any] = {}
    for each in whole:
        if is_list(each) and len(each) > 3 and is_table(each[3]):
            options |= each[3]
    return _of_arguments([[each[:3] for each in whole]], options)


def _of_arguments(args: Any, options: Any) -> Call:
    if not is_list(args) or not is_table(options):
        raise NotCoveredError(f"arguments {short(args)}")
    arguments = [_resolved(each) for each in args]
    plain: dict[str, Any] = {}
    named: dict[str, Any] = {}
    for key, value in options.items():
        found = _resolved(value)
        held = list(refs_in(found))
        (named if held else plain)[str(key)] = found
    for key in _VALUES:
        if key in named:
            arguments.append(named.pop(key))
    if named:
        raise NotCoveredError(f"called with {', '.join(map(short, named))}")
    refs = tuple(ref for each in arguments for ref in refs_in(each))
    if len(refs) > MOST_ARGUMENTS:
        raise NotCoveredError(f"called on {len(refs):,} values")
    _check_options(plain)
    return Call(refs, tuple(arguments), plain)


def _check_options(options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        silent = value is None or value is False
        if not silent and key != "use_causal_mask":
            raise NotCoveredError(f"called with {key} = {short(value)}")


def _resolved(value: Any) -> Any:
    """An argument whose values are `Ref`."""
    if is_table(value):
        return _of_table(value)
    if is_list(value):
        found = _of_list(value)
        return found if found is not None else [_resolved(each) for each in value]
    return value


def _of_table(value: Mapping[str, Any]) -> Any:
    config = value.get("config")
    if value.get("class_name") == "__keras_tensor__" and is_table(config):
        history = config.get("keras_history")
        found = _of_list(history) if is_list(history) else None
        if found is None:
            raise NotCoveredError(f"a value {short(history)}")
        return found
    return {str(key): _resolved(each) for key, each in value.items()}


def _of_list(value: Sequence[Any]) -> Ref | None:
    fits = (
        len(value) == 3
        and isinstance(value[0], str)
        and type(value[1]) is int
        and type(value[2]) is int
        and value[1] >= 0 <= value[2]
    )
    return Ref(value[0], value[1], value[2]) if fits else None


def refs_in(value: Any) -> Iterator[Ref]:
    """The values among arguments, in their order."""
    if isinstance(value, Ref):
        yield value
    elif is_list(value) and not isinstance(value, str):
        for each in value:
            yield from refs_in(each)
    elif is_table(value):
        for each in value.values():
            yield from refs_in(each)


def ends_of(value: Any) -> list[Ref]:
    """Inputs or outputs of a model, however they are nested."""
    return list(refs_in(_resolved(value)))
