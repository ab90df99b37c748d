# SPDX-License-Identifier: BSD-3-Clause
"""Record: what a run tells while it trains, as arrays and tables.

A run writes one JSON object per line into ``record.jsonl``, its type under ``event``:

========  ==========================================================================
begin     ``format``, and what `nervure.resume` must be given again
layout    the layers and parameters that the columns of ``step`` are of
data      what the rows are like: counts, scales, classes
step      one sampled step: columns of numbers, by layer or by parameter
epoch     what was measured at the end of an epoch
checkup   the same rows looked at in inference: losses by class, hardest rows
finding   what seems to be wrong (see `nervure.diagnose`)
diverged  numbers stopped being finite
end       why and when training ended
========  ==========================================================================

Lines are appended whole, so that a record may be read while it is written; a last line
that was cut off is left out. Unknown events and keys are left alone: a reader of this
format can read what later versions add to it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import found, is_list, is_table, unknown

FORMAT = 2
"""Of records written now; 1 had neither layout nor steps."""

NAME = "record.jsonl"
LONGEST_LINE = 2**26
"""Bytes; a sampled step of 10,000 layers takes a tenth of it."""

DIGITS = 5
"""Significant digits of the numbers in a record."""

OF_LAYERS = (
    "z_mean",
    "z_std",
    "z_rms",
    "a_mean",
    "a_std",
    "a_rms",
    "zero",
    "saturated",
    "nonfinite",
    "dead",
    "entropy",
    "delta",
    "growth",
    "echo",
)
"""Columns of a step with one number per layer; null where there is none."""

OF_PARAMETERS = ("norm", "gradient", "update", "ratio", "signal", "alike")
"""Columns of a step with one number per parameter."""

OF_GATES = ("gate_mean", "gate_saturated")
"""Columns of some steps with one number per gate (`nervure.network.recurrence`)."""

OF_HEADS = ("head_entropy",)
"""Columns of some steps with one number per head (`nervure.network.attending`)."""

HISTOGRAMS = ("a_histogram", "delta_histogram", "gradient_histogram", "norm_histogram")
"""Of some steps: 32 counts per layer or parameter (`nervure.network.quantities`)."""

Array = npt.NDArray[Any]
Event = Mapping[str, Any]


class RecordError(ValueError):
    """A record that is none, or cannot be read by this version."""


class Record:
    """What a run has told, event by event and as arrays.

    ``record["loss"]`` are the values of all epochs; ``record["delta"]`` is of the
    sampled steps (samples, layers), ``record["ratio"]`` (samples, parameters).

    Attributes:
        events: all that was read or told, in order.
        path: where it was read from, or None.

    >>> record = Record([{"event": "epoch", "epoch": 0, "loss": 0.5}])
    >>> record["loss"].tolist(), record.layers
    ([0.5], ())
    """

    def __init__(self, events: Iterable[Event] = (), path: Path | None = None) -> None:
        self.path = path
        self.events: list[Event] = []
        self._by_kind: dict[str, list[Event]] = {}
        self._arrays: dict[str, tuple[int, Array]] = {}
        for event in events:
            self.append(event)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Record:
        """The record of a run, by its folder or the file itself.

        Raises:
            RecordError: there is none, it is no record, or one of a later format.
        """
        place = Path(path)
        file = place / NAME if place.is_dir() else place
        record = cls(_events(file), file)
        record._check_format()
        return record

    def append(self, event: Event) -> None:
        """Add what has just been told."""
        self.events.append(event)
        self._by_kind.setdefault(str(event.get("event")), []).append(event)

    def of(self, kind: str) -> Sequence[Event]:
        """The events of a type, in order.

        >>> Record([{"event": "epoch"}, {"event": "end"}]).of("end")
        [{'event': 'end'}]
        """
        return self._by_kind.get(kind, [])

    def latest(self, kind: str) -> Event:
        """The latest event of a type; empty where there is none."""
        known = self.of(kind)
        return known[-1] if known else {}

    # -- what it is about ---------------------------------------------------------

    @property
    def format(self) -> int:
        """The version of its events."""
        return int(self.latest("begin").get("format", FORMAT))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that steps are about; none without telemetry."""
        return tuple(self.latest("layout").get("layers", ()))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that steps are about."""
        return tuple(self.latest("layout").get("parameters", ()))

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates of recurrent layers, as "lstm.forget"."""
        return tuple(self.latest("layout").get("gates", ()))

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads of attention, as "multi_head_attention.0"."""
        return tuple(self.latest("layout").get("heads", ()))

    # -- as arrays ----------------------------------------------------------------

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """Numbers of the sampled steps, counted from 0, ``(samples,)``."""
        return np.array([event["step"] for event in self.of("step")], np.int64)

    @property
    def epochs(self) -> npt.NDArray[np.int64]:
        """Numbers of the epochs that were kept, counted from 0."""
        return np.array([event["epoch"] for event in self.of("epoch")], np.int64)

    def __getitem__(self, name: str) -> Array:
        """A column: of the sampled steps, or of the epochs.

        Steps: ``rate``, ``cost`` (samples,); `OF_LAYERS` (samples, layers);
        `OF_PARAMETERS` (samples, parameters), `OF_GATES` (samples, gates), `OF_HEADS`
        (samples, heads). Everything else is of epochs.

        Raises:
            KeyError: nobody measured it; those that were are listed.
        """
        kind = "step" if name in _OF_STEPS else "epoch"
        events = self.of(kind)
        kept = self._arrays.get(name)
        if kept is None or kept[0] != len(events):
            if not any(name in event for event in events):
                raise KeyError(unknown("record", "column", name, self.names))
            kept = len(events), self._column(name, events)
            self._arrays[name] = kept
        return kept[1]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that there are."""
        steps = [name for name in _OF_STEPS if self._is_known(name)]
        measured: dict[str, None] = {}
        for event in self.of("epoch")[-1:]:
            measured |= dict.fromkeys(k for k in event if k not in ("event", "epoch"))
        return (*steps, *measured)

    def _is_known(self, name: str) -> bool:
        """Whether steps have a column; of some that only one in several has, any."""
        if name in _OF_SOME:
            return any(name in event for event in self.of("step"))
        return name in self.latest("step")

    def _column(self, name: str, events: Sequence[Event]) -> Array:
        owners = self.owners(name)
        if owners is None:
            return np.array([_number(e.get(name)) for e in events], np.float64)
        width = len(owners)
        rows = np.full((len(events), width), math.nan)
        for row, event in zip(rows, events, strict=True):
            values = event.get(name) or ()
            row[: len(values)] = [_number(v) for v in values[:width]]
        return rows

    def owners(self, column: str) -> tuple[str, ...] | None:
        """Names of the layers, parameters, gates or heads that a column is of.

        None for one number per step or epoch.
        """
        tables = (whose for whose, names in _OWNERS.items() if column in names)
        whose = next(tables, None)
        return None if whose is None else getattr(self, whose)

    # -- as tables ----------------------------------------------------------------

    def columns(self, of: str = "layers") -> dict[str, Array]:
        """The sampled steps as columns of one length, one row per step and layer.

        Args:
            of: "layers", "parameters", "gates", "heads" or "epochs".

        >>> layout = {"event": "layout", "layers": ["dense"], "parameters": []}
        >>> step = {"event": "step", "step": 0, "delta": [0.25]}
        >>> table = Record([layout, step]).columns()
        >>> table["layer"].tolist(), table["delta"].tolist()
        (['dense'], [0.25])
        """
        if of == "epochs":
            return {"epoch": self.epochs, **{n: self[n] for n in self._of_epochs()}}
        tables = _TABLES
        if of not in tables:
            raise ValueError(unknown("record", "table", of, [*tables, "epochs"]))
        names, samples = getattr(self, of), len(self.of("step"))
        table: dict[str, Array] = {
            "step": np.repeat(self.steps, len(names)),
            of.removesuffix("s"): np.array(list(names) * samples, object),
        }
        known = self.names
        return table | {n: self[n].ravel() for n in tables[of] if n in known}

    def frame(self, of: str = "layers", library: str = "pandas") -> Any:
        """`columns` as a data frame.

        Args:
            library: "pandas" or "polars".

        Raises:
            ImportError: it is not installed.
        """
        if library not in ("pandas", "polars"):
            known = ("pandas", "polars")
            raise ValueError(unknown("record", "library", library, known))
        try:
            module = __import__(library)
        except ImportError:
            raise ImportError(
                f"[record] {library} is not installed; expected it for frames; pip "
                f"install {library}, or use record.columns(), a dict of arrays"
            ) from None
        return module.DataFrame(self.columns(of))

    def _of_epochs(self) -> list[str]:
        return [name for name in self.names if name not in _OF_STEPS]

    def _check_format(self) -> None:
        first: Event = self.events[0] if self.events else {}
        if first.get("event") != "begin":
            fact = "is empty" if not self.events else "does not begin as a record does"
            raise RecordError(
                f"[{self.path}] {fact}; expected the {NAME} of a run; check the path"
            )
        version = first.get("format", 1)
        if not isinstance(version, int) or version > FORMAT:
            raise RecordError(
                f"[{self.path}] is of format {version!r}; expected at most {FORMAT}; "
                "read it with the version of nervure that wrote it, or a later one"
            )

    def __repr__(self) -> str:
        return (
            f"<Record {len(self.of('epoch'))} epochs, {len(self.of('step'))} sampled "
            f"steps of {len(self.layers)} layers>"
        )


_TABLES = {
    "layers": OF_LAYERS,
    "parameters": OF_PARAMETERS,
    "gates": OF_GATES,
    "heads": OF_HEADS,
}
_OWNERS = {
    **_TABLES,
    "layers": (*OF_LAYERS, *HISTOGRAMS[:2]),
    "parameters": (*OF_PARAMETERS, *HISTOGRAMS[2:]),
}
_OF_SOME = ("signal", "alike", "growth", "echo", *OF_GATES, *OF_HEADS)
COLUMNS = tuple(name for names in _TABLES.values() for name in names)
"""Columns of a step with a number for each layer, parameter, gate or head."""

_OF_STEPS = ("rate", "cost", *COLUMNS)


def _number(value: Any) -> float:
    """A number of a record; NaN where there is none."""
    return math.nan if value is None else float(value)


def _events(file: Path) -> Iterator[Event]:
    """The events of a file; the last line may be cut off."""
    try:
        with open(file, "rb") as lines:
            for number, line in enumerate(_lines(lines, file), start=1):
                event = _event(line)
                if event is not None:
                    _check(event, f"[{file}] line {number}")
                    yield event
                elif line.endswith(b"\n"):
                    raise RecordError(
                        f"[{file}] line {number} is no event: {found(_start(line))}; "
                        "expected a JSON object; use the file as the run left it"
                    )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RecordError(
            f"[{file}] cannot be read: {reason}; expected the {NAME} of a run, which "
            "nv.fit(directory=...) and nervure train write; check the path"
        ) from error


def _lines(file: Any, path: Path) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise RecordError(
                f"[{path}] a line of more than {LONGEST_LINE >> 20} MB; expected the "
                f"{NAME} of a run; check the path"
            )
        yield line


def _start(line: bytes) -> str:
    return line[:60].decode("utf-8", "replace").rstrip()


def _event(line: bytes) -> Event | None:
    try:
        event = cast(object, json.loads(line))
    except (ValueError, RecursionError):
        return None
    return event if is_table(event) else None


# -- what events hold -----------------------------------------------------------------


def _is_count(value: object) -> bool:
    return isinstance(value, int)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    words = ("nan", "inf", "-inf")
    return value is None or isinstance(value, int | float) or value in words


def _all(each: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: is_list(value) and all(map(each, value))


_HELD: dict[str, dict[str, Callable[[object], bool]]] = {
    "layout": {
        **dict.fromkeys((*_TABLES, "functions"), _all(_is_text)),
        **dict.fromkeys(("units", "sizes", "learns"), _all(_is_count)),
        "shapes": _all(_all(_is_count)),
    },
    "data": {
        **dict.fromkeys(("rows", "held_out", "columns"), _is_count),
        **dict.fromkeys(("counts", "held_out_counts"), _all(_is_count)),
        **dict.fromkeys(("low", "middle", "high", "mean", "spread"), _is_number),
    },
    "step": {
        "step": _is_count,
        **dict.fromkeys(("rate", "cost"), _is_number),
        **dict.fromkeys(COLUMNS, _all(_is_number)),
    },
    "epoch": {
        "epoch": _is_count,
        **dict.fromkeys(("loss", "validation_loss"), _is_number),
    },
    "checkup": {
        **dict.fromkeys(("epoch", "step"), _is_count),
        **dict.fromkeys(("training", "validation"), is_table),
    },
    "diverged": {"step": _is_count},
}
"""What readers rely on, by event and key."""

_NEEDED = {"step": ("step",), "epoch": ("epoch",), "checkup": ("epoch", "step")}


def _check(event: Event, where: str) -> None:
    """Raises `RecordError` where an event holds what no reader can use."""
    kind = event.get("event")
    if not isinstance(kind, str):
        return
    for key in _NEEDED.get(kind, ()):
        if key not in event:
            raise RecordError(f"{where} of {kind} lacks {key}; {_AS_IT_WAS}")
    for key, fits in _HELD.get(kind, {}).items():
        if key in event and not fits(event[key]):
            raise RecordError(
                f"{where} of {kind}: {key} is {found(event[key])}; {_AS_IT_WAS}"
            )


_AS_IT_WAS = "expected what a run writes; use the file as the run left it"


# -- writing --------------------------------------------------------------------------


def line_of(event: Event) -> str:
    """An event as a line; what is not finite becomes a word, as JSON has no number.

    >>> line_of({"event": "epoch", "loss": float("nan"), "accuracy": 0.75})
    '{"event": "epoch", "loss": "nan", "accuracy": 0.75}\\n'
    """
    return json.dumps(worded(event)) + "\n"


def worded(event: Event) -> dict[str, Any]:
    """An event in which words stand for numbers that are not finite.

    >>> worded({"cost": [float("inf"), 1.0]})
    {'cost': ['inf', 1.0]}
    """
    return _changed(event, _word)


def rounded(event: Event) -> dict[str, Any]:
    """An event with numbers of `DIGITS` digits, which is what a record is worth.

    >>> rounded({"event": "step", "delta": [2 / 3]})
    {'event': 'step', 'delta': [0.66667]}
    """
    return _changed(event, _brief)


def _changed(value: Any, change: Callable[[float], Any]) -> Any:
    """A value of plain data with all its floats changed."""
    if isinstance(value, float):
        return change(value)
    if isinstance(value, list | tuple):
        return [_changed(item, change) for item in cast(Sequence[Any], value)]
    if is_table(value):
        return {key: _changed(item, change) for key, item in value.items()}
    return value


def _word(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _brief(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
