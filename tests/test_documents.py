# SPDX-License-Identifier: BSD-3-Clause
"""What the documents say is true: links lead somewhere, the example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/*.md")]
)


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    inside = [link for link in links if "://" not in link]
    missing = [link for link in inside if not (document.parent / link).exists()]
    assert not missing


def test_the_examples_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in blocks(ROOT / "README.md", "python"):
        exec(compile(code, "README.md", "exec"), names)
    run = names["run"]
    assert max(run.history["validation_accuracy"]) > 0.95
    assert (tmp_path / "digits.safetensors").exists()


@pytest.mark.parametrize("name", ["autoencoders", "sequences"])
def test_the_examples_of_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = ROOT / "docs" / f"{name}.md"
    (code,) = blocks(document, "python")
    exec(compile(code, document.name, "exec"), {})
    assert capsys.readouterr().out


def test_commands_of_the_readme_are_those_of_the_program() -> None:
    from nervure.cli.app import app

    known = {c.name or c.callback.__name__ for c in app.registered_commands}
    shown = re.findall(r"nervure ([a-z]+)", "\n".join(blocks(ROOT / "README.md", "sh")))
    assert {*shown} == known
