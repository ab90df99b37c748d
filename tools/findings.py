# SPDX-License-Identifier: BSD-3-Clause
"""Write ``docs/findings``: a page per rule, from what stands beside the rule.

python tools/findings.py               write the pages
python tools/findings.py --check       fail if they are not what would be written
python tools/findings.py --pictures    train the examples, and draw them too
python tools/findings.py --only CODE   train and draw that of one code
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nervure.findings.page import Page
from nervure.findings.rules import pages

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "findings"
DOCTOR = ROOT / "benchmarks" / "doctor"
HEAD = """\
# What the doctor finds

Each kind of finding has a code that stays the same for all versions, and a page:

"""

SHOWN = {
    "attention-collapse": "heads",
    "vanishing-gradient": "signal",
    "exploding-gradient": "signal",
    "exploding-state": "echo",
    "dead-units": "dead",
    "saturated-units": "saturated",
    "layer-not-learning": "pace",
}
"""Charts of the page ``--html`` that show a fault best; of others the loss is shown,
with and without the fault."""

ONE_HAND = {"plateau": "low rate", "non-finite": "far too high rate"}
"""Examples of codes that no kind of fault is first of all."""


def texts() -> dict[str, str]:
    """What the files should hold, by their names."""
    known = pages()
    rows = [f"- [{code}]({code}.md): {_lower(p)}" for code, p in known.items()]
    found = {f"{code}.md": _page(page) for code, page in known.items()}
    return {"README.md": HEAD + "\n".join(rows) + "\n", **found}


def _lower(page: Page) -> str:
    return f"{page.title[0].lower()}{page.title[1:]}"


def _page(page: Page) -> str:
    return page.markdown(picture=(FOLDER / f"{page.code}.svg").exists())


def check() -> list[str]:
    """Names of files that are not as they should be."""
    wanted = texts()
    found = {path.name for path in FOLDER.glob("*.md")}
    other = [n for n, text in wanted.items() if not _is(FOLDER / n, text)]
    return sorted({*other, *(found - set(wanted))})


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


# -- pictures -------------------------------------------------------------------------


def draw(wanted: str | None = None) -> None:
    """A picture of an example per code, of the trainings of benchmarks/doctor."""
    sys.path.insert(0, str(DOCTOR))
    from faults import FAULTS

    from nervure.diagnosis.charts import standalone

    for code in pages():
        name = ONE_HAND.get(code)
        kinds = [k for k in FAULTS if k.name == name or (not name and code in k.codes)]
        if kinds and wanted in (None, code):
            figure = standalone(_example(code, kinds[0]))
            (FOLDER / f"{code}.svg").write_text(figure, encoding="utf-8")
            print(code, flush=True)


def _example(code: str, kind: Any) -> str:
    import instances
    from trainings import train

    import nervure as nv
    from nervure.diagnosis.page import charts

    drawn = (instances.draw(0, kind, index) for index in range(9))
    instance = next(one for one in drawn if one is not None)
    run = instance.outcome.run
    if code in SHOWN:
        return charts(nv.diagnose(run, experiments=0).case)[SHOWN[code]]
    return _beside(run, train(instance.own).run)


def _beside(run: Any, sound: Any) -> str:
    """The losses of two trainings."""
    from nervure.diagnosis.charts import Line, lines

    shown = {"with it": run, "without it": sound}
    series = [
        Line(f"{name}{words}", _epochs(one, key), list(map(float, one.record[key])))
        for name, one in shown.items()
        for key, words in (("loss", ""), ("validation_loss", ", rows held out"))
        if key in one.record
    ]
    return lines(series, title="Loss", x="epoch", y="loss", log=True)


def _epochs(run: Any, key: str) -> list[float]:
    return [epoch + 1.0 for epoch in range(len(run.record[key]))]


def main() -> int:
    """Write or check the pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--pictures", action="store_true", help="draw examples too")
    parser.add_argument("--only", metavar="CODE", help="draw that of one code")
    given = parser.parse_args()
    if given.check:
        other = check()
        if other:
            print(
                f"[docs/findings] {', '.join(other)} hold something else than the "
                "rules; expected what tools/findings.py writes; run it",
                file=sys.stderr,
            )
        return int(bool(other))
    FOLDER.mkdir(parents=True, exist_ok=True)
    if given.pictures or given.only:
        draw(given.only)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
