# SPDX-License-Identifier: BSD-3-Clause
"""How a text file cuts its rows and fields, found by its beginning.

Decided here and not by a library: a guess that does not fit later rows must not skip
them, and what was decided is said.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nervure.data._errors import fail, oneline
from nervure.data.meaning.markers import is_missing
from nervure.data.meaning.numbers import is_plain_number

HEAD = 1 << 20
"""Bytes that are looked at."""

MOST_RECORDS, FEWEST_RECORDS, MOST_CELLS = 1000, 20, 50_000
"""How many rows are looked at: of wide tables fewer."""

_BLANK = " "
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII
)


@dataclass(frozen=True)
class Dialect:
    """How a file is to be cut, and the names of its columns.

    Attributes:
        encoding: of the text.
        delimiter: one character; a blank stands for any run of blanks and tabs.
        backslash: quotes within quotes are written ``\\"`` and not ``""``.
        skip: lines before the header or, without one, the first row.
        comments: lines that begin with ``#`` are left out.
        line_end: of all lines, or "" where they are mixed.
        header: whether the first row holds names.
        names: of the columns, unique.
        row_names: rows have a field more than the header, as R writes them.
        trailing: rows end with a delimiter that the header lacks.
        twins: names that several columns had.
        types: "DOUBLE", "TIMESTAMP" or "VARCHAR" of each column, as far as was seen.
        notes: what was decided that may be otherwise.
    """

    encoding: str
    delimiter: str
    backslash: bool
    skip: int
    comments: bool
    line_end: str
    header: bool
    names: tuple[str, ...]
    row_names: bool
    trailing: bool
    types: tuple[str, ...]
    twins: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the file can be read as it lies."""
        odd = self.backslash or self.comments or self.row_names or self.trailing
        utf8 = self.encoding in ("utf-8", "utf-8-sig")
        return utf8 and not odd and self.delimiter != _BLANK and bool(self.line_end)


def find_dialect(
    path: Path, where: str, header: bool | None = None, known: Iterable[str] = ()
) -> Dialect:
    """The dialect of a text file.

    Args:
        path: a plain file; the end of its name may say ``.tsv``.
        where: its name in errors.
        header: whether its first row holds names; None decides by its cells.
        known: names that a model expects: with them the first row is a header.

    Raises:
        DataError: the file is empty or cannot be read.
    """
    start, whole = _start(path, where)
    encoding = _encoding(start)
    text = _decoded(start, encoding, whole)
    if not text.strip():
        raise fail(
            where,
            "the file is empty; expected a header line and rows",
            "check the file",
        )
    if "\0" in text:
        raise fail(
            where,
            "holds zero bytes, as no text does; expected a header line and rows",
            "check that this is the right file",
        )
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
    if not whole and len(lines) > 1:
        lines.pop()  # it may be cut
    skip, delimiter, comments = _before(lines)
    body = [line for line in lines[skip:] if not (comments and line[:1] == "#")]
    backslash = _backslashes(body)
    named = path.name.lower().endswith((".tsv", ".tab"))
    delimiter = delimiter or ("\t" if named else _delimiter(body))
    cut = Cut(delimiter, backslash)
    records = list(_some(records_of(iter(body), cut)))
    return _described(
        records, encoding, cut, skip, comments, _line_end(text), header, set(known)
    )


@dataclass(frozen=True)
class Cut:
    """How a line is cut into fields."""

    delimiter: str
    backslash: bool


def records_of(lines: Iterable[str], cut: Cut) -> Iterator[list[str]]:
    """The rows of lines; blank lines are none.

    Raises:
        csv.Error: quotes that do not match.
    """
    blank = cut.delimiter == _BLANK
    given = (
        (line.replace("\t", " ").strip() + "\n" for line in lines) if blank else lines
    )
    reader = csv.reader(
        given,
        delimiter=cut.delimiter,
        doublequote=not cut.backslash,
        escapechar="\\" if cut.backslash else None,
        skipinitialspace=blank,
        strict=True,
    )
    return (record for record in reader if record and record != [""])


# -- the beginning ------------------------------------------------------------------


def _start(path: Path, where: str) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether that is all of it."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(HEAD)
            return start, len(start) < HEAD
    except OSError as error:
        reason = error.strerror or oneline(error)
        raise fail(where, f"cannot be read ({reason})", "check the file") from error


def _encoding(start: bytes) -> str:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if start.startswith(mark):
            return name
    even, odd = start[0:2000:2].count(0), start[1:2000:2].count(0)
    if max(even, odd) > 0.3 * min(len(start), 2000) / 2:
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return eight_bits(start)
    return "utf-8"


def eight_bits(content: bytes) -> str:
    """The encoding of text that is not UTF-8: of Windows, or else ISO's."""
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _decoded(start: bytes, encoding: str, whole: bool) -> str:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return decoder.decode(start, whole)


def _line_end(text: str) -> str:
    both = text.count("\r\n")
    returns, feeds = text.count("\r"), text.count("\n")
    if returns == 0:
        return "\n"
    return "\r\n" if both == returns == feeds else ""


def _before(lines: list[str]) -> tuple[int, str, bool]:
    """Lines before the header, a delimiter that one of them names, and whether lines
    that begin with ``#`` are comments."""
    skip, delimiter = 0, ""
    comments = False
    for line in lines:
        named = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", line.rstrip("\r\n"))
        if named and skip == 0:
            delimiter = named[1]
        elif line.startswith("#") and not _only_header(lines, skip):
            comments = True
        elif line.strip():
            break
        skip += 1
    return (skip if skip < len(lines) else 0), delimiter, comments


def _only_header(lines: list[str], at: int) -> bool:
    """Whether a line beginning with ``#`` is the header, as ``#id,x`` before rows."""
    after = next((line for line in lines[at + 1 :] if line.strip()), "")
    if after.startswith("#"):
        return False
    counts = [(lines[at].count(c), after.count(c)) for c in ",;\t|"]
    return any(mine == next_ > 0 for mine, next_ in counts)


def _backslashes(lines: list[str]) -> bool:
    r"""Whether quotes in quoted fields are escaped as ``\"``."""
    escaped = sum(
        len(re.findall(r'[^\\,;\t|"]\\"(?=[^,;\t|\r\n])', line)) for line in lines
    )
    doubled = sum(line.count('""') for line in lines)
    return escaped > 0 and doubled == 0


def _delimiter(lines: list[str]) -> str:
    """The mark that cuts all lines into the same number of fields, or most."""
    shown = [re.sub(r'"[^"]*"', "q", line) for line in lines[:200] if line.strip()]
    counts = {mark: [line.count(mark) for line in shown] for mark in ",;\t|"}
    in_header = {mark: found[0] for mark, found in counts.items()}
    if any(in_header.values()):
        same = {
            m: found.count(found[0]) if found[0] else 0 for m, found in counts.items()
        }
        return max(
            ",;\t|", key=lambda mark: (same[mark] > 0, in_header[mark], same[mark])
        )
    fields = [len(line.split()) for line in shown]
    blank = fields and fields[0] > 1 and _regular(fields)
    return _BLANK if blank else max(",;\t|", key=lambda mark: sum(counts[mark]))


def _regular(fields: list[int]) -> bool:
    """Rows of as many words each as the header, or one more (names of rows)."""
    rest = set(fields[1:])
    return len(rest) == 1 and rest <= {fields[0], fields[0] + 1}


def _some(records: Iterator[list[str]]) -> Iterator[list[str]]:
    """The first records; one that the cut of the beginning has torn ends them."""
    cells = 0
    try:
        for count, record in enumerate(records):
            cells += len(record)
            if count >= MOST_RECORDS or (count > FEWEST_RECORDS and cells > MOST_CELLS):
                return
            yield record
    except csv.Error:
        return


# -- names and types ----------------------------------------------------------------


def _described(
    records: list[list[str]],
    encoding: str,
    cut: Cut,
    skip: int,
    comments: bool,
    line_end: str,
    header: bool | None,
    known: set[str],
) -> Dialect:
    first = records[0] if records else [""]
    below = records[1:]
    notes: list[str] = []
    more = bool(below) and all(len(row) == len(first) + 1 for row in below)
    trailing = more and all(not row[-1].strip() for row in below)
    row_names = more and not trailing
    if header is None:
        cells = {cell.strip() for cell in first}
        header = row_names or bool(known and cells & known) or is_header(first, below)
        if not header and below:
            notes.append(
                "no header line: the first line holds values "
                f"({', '.join(first):.40}); columns are called column1, column2, ... "
                "(data.header = true takes it as names)"
            )
    names, renamed = _names(first, header)
    if renamed:
        told = (f"the second {old!r} is {new!r}" for new, old in renamed.items())
        notes.append(f"names that come twice: {', '.join(list(told)[:5])}")
    if row_names:
        names = ("rownames", *names)
    rows = below if header else records
    types = tuple(_type(rows, i) for i in range(len(names)))
    if encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"text read as {encoding}")
    flags = (cut.backslash, skip, comments, line_end, header)
    return Dialect(
        encoding,
        cut.delimiter,
        *flags,
        names,
        row_names,
        trailing,
        types,
        frozenset(renamed.values()),
        tuple(notes),
    )


def is_header(first: list[str], below: list[list[str]]) -> bool:
    """Whether a row holds names: none of its cells is a number above numbers.

    Numbers that rise by one (years, 0, 1, 2, ...) are names, and so are all cells of
    a row that has one without text, as indices of frames have, and the words inf, nan.

    >>> is_header(["a", "b"], [["1", "2"]]), is_header(["x", "3"], [["y", "4"]])
    (True, False)
    """
    if not below or not first[0].strip():
        return True
    cells = [cell.strip() for cell in first]
    numeric = [
        i
        for i, cell in enumerate(cells)
        if is_plain_number(cell) and any(map(str.isdigit, cell))  # inf is a name here
    ]
    dated = [i for i, cell in enumerate(cells) if _ISO.fullmatch(cell)]
    values = [cells[i] for i in numeric]
    if len(values) > 1 and _run(values):
        return True
    return not any(
        _type(below, i) == kind
        for kind, found in (("DOUBLE", numeric), ("TIMESTAMP", dated))
        for i in found
    )


def _run(values: list[str]) -> bool:
    """Whether whole numbers rise by one."""
    if not all(re.fullmatch(r"\d{1,6}", value) for value in values):
        return False
    whole = list(map(int, values))
    return all(after - before == 1 for before, after in itertools.pairwise(whole))


def _names(first: list[str], header: bool) -> tuple[tuple[str, ...], dict[str, str]]:
    """Unique names of columns, and those that were made so with what they were."""
    if not header:
        return tuple(f"column{i + 1}" for i in range(len(first))), {}
    names: list[str] = []
    taken = {cell.strip() for cell in first}
    seen: set[str] = set()
    renamed: dict[str, str] = {}
    for i, cell in enumerate(first):
        name = cell.strip() or f"unnamed_{i + 1}"
        count = 1
        while name in seen or (count > 1 and name in taken):
            name = f"{cell.strip()}_{count}"
            count += 1
        if name != cell.strip() and cell.strip():
            renamed[name] = cell.strip()
        seen.add(name)
        names.append(name)
    return tuple(names), renamed


def _type(rows: list[list[str]], index: int) -> str:
    cells = (row[index].strip() for row in rows if index < len(row))
    present = [cell for cell in cells if not is_missing(cell)]
    if all(map(is_plain_number, present)):
        return "DOUBLE"
    return "TIMESTAMP" if all(map(_ISO.fullmatch, present)) else "VARCHAR"
