# SPDX-License-Identifier: BSD-3-Clause
"""The commands and their options; errors are told without a traceback."""

from __future__ import annotations

import glob
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nervure import __version__

SOURCE = (
    "Data: digits, iris, wine, breast_cancer, diabetes, mnist, fashion_mnist; a CSV, "
    "TSV, Parquet, JSON, Feather, Excel or .npz file, packed or not; "
    "FILE.db?table=NAME; a folder of parts of a table, of images (one sub-folder per "
    "class) or of IDX files."
)
PIPED = f"{SOURCE[:-1]}; - reads standard input."
MODEL = "A model file, or the folder of a run."


def sources(incomplete: str) -> list[str]:
    """What may stand for a source that begins so: data sets, files and folders."""
    from nervure.data.builtin import BUILTIN

    names = [name for name in BUILTIN if name.startswith(incomplete)]
    found = sorted(glob.glob(f"{glob.escape(incomplete)}*"))
    folders = (os.sep if os.path.isdir(path) else "" for path in found)
    return names + [f"{a}{b}" for a, b in zip(found, folders, strict=True)]


Source = Annotated[str, typer.Argument(help=PIPED, autocompletion=sources)]
AnySource = Annotated[str | None, typer.Argument(help=SOURCE, autocompletion=sources)]
Model = Annotated[Path, typer.Argument(help=MODEL)]
Target = Annotated[
    list[str] | None,
    typer.Option(
        help="Column to predict; by default the last. Several: once for each."
    ),
]
Query = Annotated[
    str | None, typer.Option(help="SQL over a table file, which is called data in it.")
]

SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out images that cannot be read."),
]

app = typer.Typer(
    name="nervure",
    help="Train, use and inspect neural networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; the exit code."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            app(args=words, prog_name="nervure")
        except SystemExit as ended:
            return int(ended.code or 0)
        except Exception as error:
            if debug:
                raise
            return _fail(error)
    return 0


TOLD = (ValueError, OSError, ArithmeticError, ImportError)
"""Errors that what was given may cause; any other is a fault of the program."""

FAULT = 70
"""The exit code of a fault of the program, as in ``sysexits.h``."""


def _fail(error: Exception) -> int:
    """Tell an error in a line or a few; the exit code."""
    if isinstance(error, MemoryError | RecursionError):
        kind = "memory" if isinstance(error, MemoryError) else "depth"
        said = str(error) or f"not enough {kind} for what was given"
        error = ValueError(f"{said}; give less at once (fewer rows, a smaller network)")
    known = isinstance(error, TOLD)
    lines = str(error).splitlines() or [type(error).__name__]
    if not known:
        lines[0] = f"{type(error).__name__}: {lines[0]}"
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    if not known:
        print(
            "This is a fault of nervure, not of yours: please report it, with the "
            "command and what --debug shows",
            file=sys.stderr,
        )
        return FAULT
    if not lines[0].startswith("["):
        print("(--debug shows where this comes from)", file=sys.stderr)
    return 2


def _warn(message: Warning | str, *_: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _names(given: str | None) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in given.split(",")] if given else []


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nervure {__version__}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Train, use and inspect neural networks."""


@app.command()
def train(
    source: AnySource = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="Spec of network and training (TOML), or a name of the zoo; by "
            "default chosen."
        ),
    ] = None,
    target: Target = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of the spec: training.epochs=3, layer.0.units=50.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; by default runs/<source>-<number>."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The table is a series: its column of times."
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(metavar="STEPS", help="Of a series: how far to forecast."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Of several series: which a row belongs to."
        ),
    ] = None,
    season: Annotated[
        int | None,
        typer.Option(metavar="STEPS", help="By default what the step suggests."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS", help="Of the past; by default one season or two."
        ),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,...", help="Columns known in advance."),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Of a series: train once more, on all steps, into whole/."
        ),
    ] = False,
    intervals: Annotated[
        str | None,
        typer.Option(
            metavar="conformal|pinball",
            help="Of a series: by errors on steps held out, or quantiles too.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    ensemble: Annotated[
        int | None,
        typer.Option(metavar="MEMBERS", help="Train so many networks, average them."),
    ] = None,
    autoencoder: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBERS",
            help="An autoencoder: a code of so many numbers from which rows are made "
            "again. No target is needed; --target names a column to leave out.",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Keep a tenth of the rows apart, for intervals and sets that hold.",
        ),
    ] = False,
    query: Query = None,
    no_header: Annotated[
        bool,
        typer.Option("--no-header", help="The first line of a text file is a row."),
    ] = False,
    skip_bad: SkipBad = False,
    logs: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="TOOL[=WHERE]",
            help="Hand on what the run tells: tensorboard=FOLDER, mlflow=EXPERIMENT, "
            "trackio=PROJECT.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress.")
    ] = False,
) -> None:
    """Train a network on data and save it with all that is needed to use it."""
    from nervure.cli.training import Request, train

    changes = list(sets or ())
    if ensemble is not None:
        changes.append(f"ensemble.members={ensemble}")
    if query is not None:
        changes.append(f"data.query={json.dumps(query, ensure_ascii=False)}")
    if no_header:
        changes.append("data.header=false")
    if skip_bad:
        changes.append("data.skip_bad=true")
    asked = tuple(changes)
    told = tuple(logs or ())
    said = {"time": time, "horizon": horizon, "group": group}
    said |= {"season": season, "window": window, "known": _names(known) or None}
    series = tuple((key, value) for key, value in said.items() if value is not None)
    request = Request(
        source,
        spec,
        _targets(target),
        asked,
        out,
        resume,
        calibrate,
        quiet,
        told,
        series,
        refit,
        autoencoder,
        intervals,
    )
    raise typer.Exit(train(request))


def _targets(given: list[str] | None) -> str | list[str] | None:
    """Columns to predict as a spec has them: one by its name."""
    return given[0] if given and len(given) == 1 else given or None


@app.command()
def tune(
    source: AnySource = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="Spec to vary, perhaps with [tune]; by default chosen."),
    ] = None,
    target: Target = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of the spec: training.epochs=3, tune.jobs=2.",
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=RANGE",
            help="Vary a key: 'training.batch_size={choices=[16, 64]}', "
            "'layer.1.rate={low=0.0, high=0.5}' (log=true for orders of magnitude). "
            "By default learning rate, batch size, hidden units and dropout.",
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Networks to train in all; by default 50.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="No training goes on beyond it.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the search; by default tunes/<source>-<number>."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in the folder.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Tell nothing of single trials.")
    ] = False,
) -> None:
    """Search for the best values of a spec's keys (needs nervure[tune])."""
    from nervure.cli.training import Request
    from nervure.cli.tuning import tune

    of = _targets(target)
    request = Request(source, spec, of, tuple(sets or ()), out, resume, quiet=quiet)
    limits = {"trials": trials, "seconds": seconds}
    raise typer.Exit(tune(request, tuple(vary or ()), limits))


@app.command()
def predict(
    model: Model,
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option(help="File ending in .csv, .parquet or .npz; else CSV is shown."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each class.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="LEVEL",
            help="Add intervals, or sets of classes, that hold the truth for this "
            "share of the rows, as 0.9 (after train --calibrate).",
        ),
    ] = None,
    query: Query = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...",
            help="Columns of the source to carry along, as an identifier.",
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Sum convolutions directly, for very uneven images."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail where a prediction is not finite."),
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Predict for rows as they were before any preprocessing."""
    from nervure.cli.predicting import Wish, predict
    from nervure.serving.answers import Wanted

    kept = tuple(_names(keep))
    wanted = Wanted(probabilities, interval, strict)
    predict(model, source, out, wanted, Wish(query, kept, skip_bad, exact))


@app.command()
def serve(
    model: Model,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; one that other machines reach needs --token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes any that is free.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="NERVURE_TOKEN",
            show_envvar=False,
            help="What requests must know (Authorization: Bearer TOKEN). Better set "
            "NERVURE_TOKEN: others on this machine can see options.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name under /v2/models/; by default that of the file."),
    ] = None,
    body_limit: Annotated[
        float, typer.Option(metavar="MEGABYTES", help="Largest body of a request.")
    ] = 8.0,
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="For a request to come, and for its answer."
        ),
    ] = 30.0,
) -> None:
    """Answer over HTTP (needs nervure[serve]).

    POST rows as JSON or CSV, or an image, to /predict; / is a page to try it by hand,
    /v2 the Open Inference Protocol, /metrics is for Prometheus. Ctrl-C ends it.
    """
    from nervure.cli.serving import Wish, serve

    serve(model, Wish(host, port, token, name, body_limit, time_limit))


@app.command()
def generate(
    model: Model,
    prompt: Annotated[str, typer.Option(help="The text to go on from.")],
    steps: Annotated[int, typer.Option(help="Letters to write.")] = 400,
    temperature: Annotated[
        float,
        typer.Option(help="Below 1 what is likely becomes likelier; 0: the likeliest."),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from so many of the likeliest alone.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw from the likeliest that have this share together."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
) -> None:
    """Go on with a text, letter by letter as they are drawn."""
    from nervure.cli.generating import generate

    generate(
        model,
        prompt,
        steps,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
    )


@app.command()
def evaluate(
    model: Model,
    source: Source,
    query: Query = None,
    skip_bad: SkipBad = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Score the rows that were trained on as well."),
    ] = False,
) -> None:
    """Compare predictions with the targets of a source.

    Of the data that the model was trained from, the rows that were held out.
    """
    from nervure.cli.scoring import evaluate

    evaluate(model, source, query=query, everything=everything, skip_bad=skip_bad)


@app.command()
def inspect(
    path: Annotated[
        str, typer.Argument(help="A model, a spec, a run, data, or a name of the zoo.")
    ],
    augment: Annotated[
        bool,
        typer.Option(
            "--augment", help="Write a PNG sheet of images as training changes them."
        ),
    ] = False,
    spec: Annotated[
        Path | None, typer.Option(help="With --augment: the spec that says how.")
    ] = None,
    filters: Annotated[
        bool, typer.Option("--filters", help="Write a sheet of the first filters.")
    ] = False,
    features: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Write a sheet of an image's feature maps."),
    ] = None,
    saliency: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Write what moves the predicted class."),
    ] = None,
    occlusion: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Write what the class needs to be seen."),
    ] = None,
    row: Annotated[
        int, typer.Option(help="Which image, where IMAGE is data with several.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The sheet; by default <name>-<what>.png.")
    ] = None,
) -> None:
    """Show what a model, a spec, a run, a data set or an architecture holds."""
    from nervure.cli.augmenting import preview
    from nervure.cli.inspecting import inspect
    from nervure.cli.seeing import Wish, see

    wish = Wish(filters, features, saliency, occlusion, row, out)
    if augment:
        return print(preview(path, spec, out))
    if wish.kind:
        return print(see(Path(path), wish))
    if spec or out:
        raise ValueError(
            f"[{'--spec' if spec else '--out'}] without a sheet to write; expected "
            "--augment, --filters, --features, --saliency or --occlusion; add one, or "
            "leave it out"
        )
    print(inspect(path))


@app.command()
def doctor(
    path: Annotated[
        Path, typer.Argument(help="A run's folder, a spec, or a code to be explained.")
    ],
    data: Annotated[
        str | None, typer.Argument(help="Data in the place of those the spec names.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option("--html", help="Write one HTML file with the evidence."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the patched spec beside the old one.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Train with the patched spec, and compare.")
    ] = False,
    experiments: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Time for experiments; by default 10 s where the cause is not clear.",
        ),
    ] = None,
) -> None:
    """Tell what is wrong with a training, why, and what to change.

    Ends with 1 where something is wrong, with 0 where nothing is.
    """
    from nervure.cli.doctor import Wish, doctor

    wish = Wish(path, data, as_json, page, apply, fix, experiments)
    raise typer.Exit(doctor(wish))


@app.command()
def zoo(
    name: Annotated[
        str | None, typer.Argument(help="An architecture; without it all are listed.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Outputs; by default as published.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="HxWxC", help="Shape of the images, as 32x32x3."),
    ] = None,
    aux: Annotated[
        bool, typer.Option("--aux", help="Add GoogLeNet's auxiliary classifiers.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Spec file to be written; else it is shown.")
    ] = None,
) -> None:
    """List the published architectures, or write one as a spec to read and change."""
    from nervure.cli.zoo import listing, spec_text

    print(listing() if name is None else spec_text(name, classes, image, aux, out))


@app.command()
def export(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(help="The file, .onnx or .nervure; by default <model>.onnx."),
    ] = None,
    opset: Annotated[int, typer.Option(help="Version of the operators.")] = 18,
    raw: Annotated[
        bool,
        typer.Option(help="Take raw rows, as predict does, and answer in their terms."),
    ] = True,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or float64; by default the model's.")
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Take images of any height and width.")
    ] = False,
) -> None:
    """Write a model as ONNX, for other runtimes and languages (needs nervure[onnx]).

    A file that ends in .nervure is one for libnervure, the engine's C interface: it
    takes what the network takes, without preprocessing.
    """
    from nervure.cli.exporting import Wish, export

    print(export(model, out, Wish(raw, opset, dtype, resize)))
