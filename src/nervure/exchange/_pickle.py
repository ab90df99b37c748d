# SPDX-License-Identifier: BSD-3-Clause
"""A reader of the data in a pickle. It executes nothing.

A pickle is a program for a stack machine. Here its instructions are read by the
standard library's disassembler, and those that make plain data are followed. A name of
Python code is kept as a `Global`, never looked up; what a call of it stands for, the
caller says, who refuses all but a few names. Instructions, values and how deep they are
nested are counted, so that time and memory stay bounded.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

MOST_BYTES = 16 << 20
"""Of a pickle; that of ResNet-152 has 0.1 MB."""

MOST_INSTRUCTIONS = 1_000_000

MOST_VALUES = 4_000_000
"""That calls read: a list may be read again and again by one instruction each."""

MOST_DEPTH = 100
"""Of lists, tuples and dictionaries inside of each other."""

MOST_BITS = 128
"""Of a whole number; PyTorch's magic number has 77."""

_VALUES = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
        *("FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    }
)
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IDLE = frozenset({"PROTO", "FRAME", "STOP"})


class PickleError(ValueError):
    """Bytes that are no pickle of plain data; the text is a fact."""


class CodeError(PickleError):
    """A pickle that asks for code; the text is its name."""


@dataclass(frozen=True)
class Global:
    """The name of something in Python, which is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"[:120]


@dataclass(frozen=True)
class Meaning:
    """What a pickle's references to the outside stand for.

    ``known`` says whether a global may be named; ``call`` gives the value of a call,
    ``persistent`` what a persistent id stands for. Both raise `PickleError` where they
    have no answer.
    """

    known: Callable[[Global], bool]
    call: Callable[[Global, tuple[Any, ...]], object]
    persistent: Callable[[Any], object]


def read_pickle(file: io.BytesIO, meaning: Meaning) -> Any:
    """The value of the pickle at the file's position, which moves behind it.

    Raises:
        PickleError: it is damaged, too long, or asks for more than plain data.

    >>> import pickle
    >>> no_code = Meaning(lambda name: False, lambda *call: None, lambda key: None)
    >>> data = io.BytesIO(pickle.dumps({"a": [1, 2.5, ("x", None)]}))
    >>> read_pickle(data, no_code)
    {'a': [1, 2.5, ('x', None)]}
    """
    machine = _Machine(meaning)
    try:
        for step, (code, argument, _) in enumerate(pickletools.genops(file)):
            if step > MOST_INSTRUCTIONS:
                raise PickleError(f"a pickle of over {MOST_INSTRUCTIONS:,} steps")
            machine.follow(code.name, argument)
        return machine.result()
    except PickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        reason = f"{type(error).__name__.lower()}: {error}"[:100]
        raise PickleError(f"a damaged pickle ({reason})") from None


class _Budget:
    """What a pickle may still ask for.

    Depths are kept of what holds lists, tuples or dictionaries, which are kept alive
    meanwhile, since they are told apart by where they lie in memory.
    """

    def __init__(self) -> None:
        self._values = MOST_VALUES
        self._deep: dict[int, tuple[int, object]] = {}

    def read(self, values: Iterable[Any]) -> None:
        """Somebody is about to read all that lies in these values."""
        self._values -= sum(len(v) for v in values if _holds(v))
        if self._values < 0:
            raise PickleError(f"a pickle of more than {MOST_VALUES:,} values")

    def put(self, holder: object, values: Iterable[Any]) -> None:
        """Values are put into a list, tuple or dictionary."""
        depth = 1 + max((self._depth(value) for value in values), default=0)
        if depth > MOST_DEPTH:
            raise PickleError(f"values nested more than {MOST_DEPTH} deep")
        if depth > self._depth(holder):
            self._deep[id(holder)] = depth, holder

    def _depth(self, value: object) -> int:
        if not _holds(value):
            return 0
        known = self._deep.get(id(value))
        return known[0] if known else 1


def _holds(value: object) -> TypeGuard[Sized]:
    """Whether a value holds others."""
    return isinstance(value, list | tuple | dict)


class _Machine:
    """The stack, what stands below each mark, and the memo."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._budget = _Budget()

    def result(self) -> Any:
        (value,) = self._stack
        return value

    def follow(self, name: str, argument: Any) -> None:
        """Take one step."""
        if name in _VALUES:
            if isinstance(argument, int) and argument.bit_length() > MOST_BITS:
                raise PickleError(f"a number of more than {MOST_BITS} bits")
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self._tuple(self._top(_TUPLES[name]))
        elif name not in _IDLE:
            self._work(name, argument)

    def _top(self, count: int) -> list[Any]:
        """So many values, taken off the stack."""
        if len(self._stack) < count:
            raise IndexError("too few values")
        begin = len(self._stack) - count
        values = self._stack[begin:]
        del self._stack[begin:]
        return values

    def _tuple(self, values: list[Any]) -> None:
        made = tuple(values)
        self._budget.put(made, values)
        self._stack.append(made)

    def _extend(self, values: list[Any]) -> None:
        """Put values into the list that lies on top."""
        found = _list(self._stack[-1])
        self._budget.put(found, values)
        found.extend(values)

    def _fill(self, values: list[Any]) -> None:
        """Put keys and values in turn into the dictionary that lies on top."""
        found = _filled(self._stack[-1], values)
        self._budget.put(found, values)

    def _work(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._above()
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "LIST":
                values = self._above()
                self._stack.append([])
                self._extend(values)
            case "TUPLE":
                self._tuple(self._above())
            case "DICT":
                values = self._above()
                self._stack.append({})
                self._fill(values)
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS":
                self._extend(self._above())
            case "SETITEM":
                self._fill(self._top(2))
            case "SETITEMS":
                self._fill(self._above())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[cast(int, argument)] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[cast(int, argument)])
            case _:
                self._refer(name, argument)

    def _above(self) -> list[Any]:
        """What stands above the last mark, taken off with it."""
        above, self._stack = self._stack, self._below.pop()
        return above

    def _refer(self, name: str, argument: Any) -> None:
        """Names of code, calls, state of objects, references to the outside."""
        stack = self._stack
        match name:
            case "GLOBAL":
                module, _, attribute = cast(str, argument).partition(" ")
                self._name(module, attribute)
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                if not isinstance(module, str) or not isinstance(attribute, str):
                    raise PickleError("a name of code that is no text")
                self._name(module, attribute)
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                if not isinstance(function, Global) or not isinstance(arguments, tuple):
                    raise PickleError("a call of what is no function")
                given = cast(tuple[Any, ...], arguments)
                self._budget.read(given)
                stack.append(self._meaning.call(function, given))
            case "BUILD":  # attributes of a dictionary (its versions) say nothing here
                stack.pop()
                if not isinstance(stack[-1], dict):
                    raise PickleError("attributes set on an object")
            case "BINPERSID":
                stack.append(self._meaning.persistent(stack.pop()))
            case _:
                raise PickleError(f"the instruction {name}, which only code needs")

    def _name(self, module: str, attribute: str) -> None:
        name = Global(module, attribute)
        if not self._meaning.known(name):
            raise CodeError(str(name))
        self._stack.append(name)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise PickleError("items added to what is no list")
    return cast(list[Any], value)


def _filled(table: Any, flat: Iterable[Any]) -> dict[Any, Any]:
    """Keys and values in turn put into a table; keys are words or whole numbers."""
    items = list(flat)
    if not isinstance(table, dict) or len(items) % 2:
        raise PickleError("keys set on what is no dictionary")
    found = cast(dict[Any, Any], table)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | int):
            raise PickleError(f"a key that is a {type(key).__name__}")
        found[key] = value
    return found
