# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a spec: a network and its training as a TOML file says them.

The reader (`nervure.base.plain`) follows the annotations of these dataclasses and of
those of layers, losses and optimizers, so that nothing is listed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from nervure.base.checks import count, number
from nervure.base.words import unknown
from nervure.data.augmentation import Augmentation
from nervure.data.encodings import Categories, Encodings, Method, Use
from nervure.data.meaning.labels import Labels
from nervure.data.series.records import Series
from nervure.graph.node import Entry
from nervure.losses import Loss
from nervure.metrics import METRICS
from nervure.network.autoencoding import Variant
from nervure.optimizers import Adam, Optimizer
from nervure.regularizers import Regularizer
from nervure.spec.space import TuneSpec
from nervure.spec.stopping import EarlyStopping
from nervure.zoo import ZooNetwork

LARGEST_IMAGE = 4096  # pixels of a side
MOST_MEMBERS = 1000
"""Of an ensemble."""


class SpecError(ValueError):
    """All faults of a spec, one line each: ``[net.toml] layer[2].units: ...``."""


@dataclass(frozen=True)
class DataSpec:
    """Where the data comes from and what is kept aside.

    ``source``, ``target``, ``query``, ``task``, ``weights`` and ``image_size`` are
    those of `nervure.data.load`; ``numbers``, ``categories`` and the encodings of
    single ``columns`` too (`nervure.data.Encodings`), ``dates``, ``labels``,
    ``header`` and ``skip_bad``. ``test`` is the fraction in
    [0, 1) of the rows that training never sees, ``calibration`` that of the other rows
    which is kept for conformal scores, ``validation`` that of the rest which early
    stopping looks at. Without ``validation`` the spec does not say what to hold out: in
    Python that is nothing, by ``nervure train`` as much as without a spec. Of a
    ``series`` the parts are the latest steps.
    """

    source: str | None = None
    target: str | tuple[str, ...] | None = None
    query: str | None = None
    task: Literal["classification", "regression", "reconstruction"] | None = None
    weights: str | None = None
    image_size: tuple[int, int] | None = None
    validation: float | None = None
    test: float | None = None
    calibration: float = 0.0
    numbers: Method | None = None
    categories: Categories = "auto"
    columns: dict[str, Use] | None = None
    dates: dict[str, str] | None = None
    labels: Labels = "as_written"
    header: bool | None = None
    skip_bad: bool = False
    series: Series | None = None

    def __post_init__(self) -> None:
        fraction = {"least": 0, "below": 1}
        parts = ("validation", "test", "calibration")
        _check(self, "data", dict.fromkeys(parts, fraction))
        for side in self.image_size or ():
            count("data", "image_size", side, least=1, most=LARGEST_IMAGE)

    @property
    def encodings(self) -> Encodings:
        """How the columns of a table become inputs."""
        return Encodings(
            self.numbers or "standard", self.categories, self.columns or {}
        )


MOST_CODE = 1_000_000
"""Numbers of a code."""


@dataclass(frozen=True)
class AutoencoderSpec(Variant):
    """That the layers are an autoencoder: their target is what comes in.

    ``code`` is the number of values of the code; without layers it decides about the
    network. Of a spec's layers the one that is named "code" gives it: those up to it
    are the encoder, the others the decoder. The other keys are those of
    `nervure.Autoencoder`. A row is an anomaly above the ``quantile`` of the errors of
    the validation rows, or where these are too few of the training rows.
    """

    code: int | None = None
    quantile: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = {"code": {"least": 1, "most": MOST_CODE}}
        _check(self, "autoencoder", {**bounds, "quantile": {"least": 0, "most": 1}})


@dataclass(frozen=True)
class EnsembleSpec:
    """How many networks are trained (see `nervure.Ensemble`), and on which rows.

    ``bagged`` says whether each draws its training rows with replacement.
    """

    members: int = 5
    bagged: bool = False

    def __post_init__(self) -> None:
        _check(self, "ensemble", {"members": {"least": 1, "most": MOST_MEMBERS}})


_COUNT, _DURATION = {"least": 1.0}, {"above": 0.0}
_BOUNDS = {
    "batch_size": _COUNT,
    "epochs": _COUNT,
    "max_steps": _COUNT,
    "checkpoint_steps": _COUNT,
    "max_seconds": _DURATION,
    "checkpoint_seconds": _DURATION,
    "seed": {"least": 0.0},
}


_NOT_OF_FIT = ("early_stopping", "weights", "freeze", "freeze_until", "exact")


@dataclass(frozen=True)
class TrainingSpec:
    """The keyword arguments of `nervure.fit`, under the same names.

    Besides, for transfer learning: ``weights`` is a model file whose weights the
    network begins with, wherever name and shape are the same; ``freeze`` and
    ``freeze_until`` are the arguments of `Network.freeze`. With ``exact`` convolutions
    sum directly (`Network.exact`), in training and in what is saved.
    """

    loss: Loss | tuple[Loss, ...] | dict[str, Loss] | None = None
    optimizer: Optimizer = field(default_factory=Adam)
    batch_size: int = 32
    epochs: int = 10
    metrics: tuple[str, ...] | None = None
    early_stopping: EarlyStopping | None = None
    regularizer: Regularizer | None = None
    learning_rates: dict[str, float] | None = None
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    loss_weights: float | tuple[float, ...] | dict[str, float] | None = None
    shuffle: bool = True
    seed: int = 0
    max_steps: int | None = None
    max_seconds: float | None = None
    checkpoint_steps: int | None = None
    checkpoint_seconds: float | None = None
    executor: Literal["native", "jax"] = "native"
    telemetry: bool | None = None
    weights: str | None = None
    freeze: tuple[str, ...] = ()
    freeze_until: str | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        _check(self, "training", _BOUNDS)
        unknowns = [name for name in self.metrics or () if name not in METRICS]
        if unknowns:
            raise ValueError(unknown("training", "metric", unknowns[0], METRICS))

    def arguments(self, labels: Sequence[object] = ()) -> dict[str, Any]:
        """The keyword arguments for `nervure.fit`.

        ``labels`` are the classes in order; ``class_weight`` may name them.

        Raises:
            SpecError: a weight for a class that does not exist.
        """
        names = (f.name for f in fields(self) if f.name not in _NOT_OF_FIT)
        given = {name: getattr(self, name) for name in names}
        given["callbacks"] = [self.early_stopping] if self.early_stopping else []
        if isinstance(self.class_weight, dict):
            given["class_weight"] = _by_index(self.class_weight, labels)
        return given


def _by_index(
    weights: Mapping[str, float], labels: Sequence[object]
) -> dict[int, float]:
    """Weights of classes by index: the keys are labels or, without them, indices."""
    names = [str(label) for label in labels]
    where = "training.class_weight"
    found: dict[int, float] = {}
    for key, weight in weights.items():
        if key in names:
            found[names.index(key)] = weight
        elif not names and key.isdecimal():
            found[int(key)] = weight
        else:
            raise SpecError(unknown(where, "class", key, names or ["0", "1", "..."]))
    return found


@dataclass(frozen=True)
class Spec:
    """A network, its data and its training: what a spec file says.

    ``layers`` are the tables ``[[layer]]``; in their place ``network``, the table
    ``[network]``, names an architecture of the zoo: ``zoo = "resnet18"``. ``training``
    None is a spec of a network alone, ``ensemble`` None one of a single network,
    ``autoencoder`` None one with targets.
    ``outputs`` names the layers whose values the network gives; empty are those that
    no other layer reads. ``augmentation`` is how training changes images
    (``[[augmentation]]``). ``tune`` is the space that `nervure.tune` searches; training
    takes no notice of it.
    """

    layers: tuple[Entry, ...] = ()
    data: DataSpec = field(default_factory=DataSpec)
    training: TrainingSpec | None = None
    outputs: tuple[str, ...] = ()
    dtype: Literal["float32", "float64"] = "float32"
    augmentation: tuple[Augmentation, ...] = ()
    ensemble: EnsembleSpec | None = None
    network: ZooNetwork | None = None
    tune: TuneSpec | None = None
    autoencoder: AutoencoderSpec | None = None

    @property
    def seed(self) -> int:
        """Of the network, the split of the rows and the training."""
        return (self.training or TrainingSpec()).seed


def _check(
    thing: object, where: str, bounds: Mapping[str, Mapping[str, float]]
) -> None:
    """Raise for every number that is out of bounds at once; None is not checked."""
    wrong: list[str] = []
    for name, range_of_it in bounds.items():
        value = getattr(thing, name)
        try:
            if value is not None:
                number(where, name, value, **range_of_it)
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(wrong))
