# SPDX-License-Identifier: BSD-3-Clause
"""Recorder: what a session writes into its run folder, if it has one."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nervure.base.files import WriteError
from nervure.base.plain import write
from nervure.data.augmentation import engine_changes
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.executors import Data
from nervure.network.network import Network
from nervure.record import NAME, Event, Record, RecordError
from nervure.training.folder import RunFolder, fingerprint_of
from nervure.training.prepare import Prepared
from nervure.training.settings import Settings
from nervure.training.state import State
from nervure.training.telemetry.sampling import is_kept


class Recorder:
    """Keeps checkpoints, the record and the model; without a folder the record alone.

    A disk that is full or gone does not end the run: one warning, and another try at
    each checkpoint.

    Attributes:
        fingerprint: what must be the same for a run to go on with the same bits.
        record: what was told so far.
    """

    def __init__(
        self, folder: RunFolder | None, fingerprint: Mapping[str, str], every: Settings
    ) -> None:
        self.folder, self.fingerprint = folder, dict(fingerprint)
        self._steps, self._seconds = every.checkpoint_steps, every.checkpoint_seconds
        self._saved = time.monotonic()
        self._warned = False
        self.record = Record()

    def begin(self) -> None:
        """The clock of ``checkpoint_seconds`` begins."""
        self._saved = time.monotonic()

    def resume(self) -> None:
        """After a state was taken over: the record goes on where it stands.

        A record that is gone or damaged does not keep the run from going on.
        """
        if self.folder is None or not (self.folder.path / NAME).exists():
            return
        try:
            events = Record.read(self.folder.path).events
        except RecordError as error:
            warnings.warn(f"{error} (the run goes on without it)", stacklevel=2)
            return
        for event in events:
            self.record.append(event)

    def release(self) -> None:
        """The session is over: others may work in the folder."""
        if self.folder is not None:
            self.folder.release()

    # -- checkpoints --------------------------------------------------------------

    def steps_until_checkpoint(self, step: int) -> int | None:
        """Steps until one is due by their number; None if none ever is."""
        every = self._steps
        return every - step % every if every else None

    def between(self, state: State) -> None:
        """After a stretch of steps: a checkpoint where one is due."""
        due = self._steps is not None and state.step % self._steps == 0
        since = time.monotonic() - self._saved
        late = self._seconds is not None and since >= self._seconds
        if due or late:
            self.checkpoint(state)

    def checkpoint(self, state: State) -> None:
        """Keep the state as it is."""
        if self.folder is None:
            return
        folder = self.folder
        self._try(lambda: folder.write_checkpoint(state, self.fingerprint))
        self._saved = time.monotonic()

    # -- the record ---------------------------------------------------------------

    def epoch(self, state: State, values: Mapping[str, float]) -> None:
        """The epoch that has just ended; a checkpoint, unless others are asked for."""
        if is_kept(state.epoch - 1):
            self.tell({"event": "epoch", "epoch": state.epoch - 1, **values})
        if not (self._steps or self._seconds):
            self.checkpoint(state)

    def diverged(self, state: State) -> None:
        self.tell({"event": "diverged", "step": state.step, "epoch": state.epoch})

    def end(self, state: State, best: Callable[[], Network]) -> None:
        """The end of the run, and the network with its best weights.

        Raises:
            WriteError: the model cannot be written.
        """
        end = {
            "event": "end",
            "epochs": state.epoch,
            "steps": state.step,
            "seconds": round(state.seconds, 3),
            "stopped": state.stopped,
            "best_epoch": state.best.epoch,
        }
        self.tell(end)
        if self.folder is None:
            return
        try:
            best().save(self.folder.model)
        except WriteError as error:
            raise WriteError(
                f"{error}; the trained network is still in memory: write it elsewhere "
                "with network.save(path)"
            ) from error

    def tell(self, event: Event) -> None:
        """Add an event to the record."""
        self.record.append(event)
        if self.folder is not None:
            folder = self.folder
            self._try(lambda: folder.log(event))

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except WriteError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{error}; training goes on, and tries again at each checkpoint",
                    stacklevel=2,
                )


def fingerprint(
    network: Network, prepared: Prepared, settings: Settings
) -> dict[str, str]:
    """What must be the same for a run to go on with the same bits."""
    arrays = _arrays(prepared.data, "") | {"rows": prepared.rows}
    if prepared.validation is not None:
        arrays |= _arrays(prepared.validation, "validation ")
    words = {
        "dtype": network.dtype,
        "loss": repr([(c.loss, c.weight) for c in settings.objective.costs]),
        "regularizer": repr(settings.regularizer),
        "layers": json.dumps([[n.name, str(n.shape)] for n in network.graph.nodes]),
        "optimizer": json.dumps(write(settings.optimizer)),
        "batch size": str(settings.rows_per_step(len(prepared.rows))),
        "seed": str(settings.seed),
        "shuffle": str(settings.shuffles),
        "frozen layers": json.dumps(sorted(network.frozen)),
        "learning rates": json.dumps(settings.learning_rates, sort_keys=True),
        "augmentation": json.dumps(engine_changes(settings.augmentation)),
    }
    return fingerprint_of(arrays, words)


def _arrays(data: Data, whose: str) -> dict[str, Any]:
    """Every array of a data set by name; of sequences steps, starts and lengths."""
    parts: dict[str, Sequence[Any]] = {
        "input": data.inputs,
        "target": data.targets,
        "step weights": data.step_weights,
        "weights": () if data.weights is None else (data.weights,),
    }
    found: dict[str, Any] = {}
    for what, some in parts.items():
        for i, x in enumerate(some):
            name = f"{whose}{what}" if what == "weights" else f"{whose}{what} {i}"
            x = x.ended if isinstance(x, Labels) else x
            if isinstance(x, Ragged):
                found |= {name: x.values, f"starts of {name}": x.starts}
                found[f"lengths of {name}"] = x.lengths
            elif x is not None:
                found[name] = x
    return found
