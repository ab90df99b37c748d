# SPDX-License-Identifier: BSD-3-Clause
"""Write ``src/nervure/__init__.pyi``, by which editors and type checkers know nervure.

The package loads a public name when it is first used, so what ``import nervure`` runs
says too little to them. The names are those of ``__init__.py``, and only there.

    python tools/stubs.py            write the file
    python tools/stubs.py --check    fail if it is not what would be written
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

STUB = Path(__file__).resolve().parents[1] / "src" / "nervure" / "__init__.pyi"
HEAD = '''\
# SPDX-License-Identifier: BSD-3-Clause
"""Public names, for editors and type checkers; written by tools/stubs.py."""

'''


def imports() -> Iterator[str]:
    """One import per public name, sorted as linters want it."""
    import nervure

    homes = [(home, name) for name, home in nervure._HOMES.items()]
    parts = [home.rpartition(".")[::2] for home in nervure._SUBMODULES.values()]
    order = sorted([*homes, *parts], key=lambda one: (one[0], _rank(one[1])))
    known = dict(zip(nervure._SUBMODULES.values(), nervure._SUBMODULES, strict=True))
    for home, name in order:
        yield f"from {home} import {name} as {known.get(f'{home}.{name}', name)}"


def _rank(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each in order of the alphabet."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return 1 if name[0].isupper() else 2, name.casefold()


def text() -> str:
    """What the stub should hold."""
    return HEAD + "\n".join(imports()) + "\n\n__version__: str\n"


def main() -> int:
    """Write or check the stub; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    if not parser.parse_args().check:
        STUB.write_text(text())
        return 0
    if STUB.exists() and STUB.read_text() == text():
        return 0
    print(
        f"[{STUB.name}] does not hold the names of __init__.py; expected what "
        "tools/stubs.py writes; run: python tools/stubs.py",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
