"""The README's two commands: one line each, and `.ci/run` runs them as they stand."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command_with(word: str) -> str:
    lines = [
        line
        for block in re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    found = [line for line in lines if word in line]
    assert len(found) == 1
    return found[0]


def test_one_line_sets_up_and_shows_the_main_job() -> None:
    assert command_with("caclient demo").startswith("python3 -m venv ")


def test_one_line_sets_up_and_passes_the_tests() -> None:
    assert command_with("pytest").startswith("python3 -m venv ")


def test_ci_takes_both_lines_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "test_line=$(readme_line pytest)" in script
    assert "demo_line=$(readme_line 'caclient demo')" in script
    assert script.count("-m pytest") == script.count("-m pytest -q -n 4 --dist worksteal -m long") == 1


def test_first_screen_says_what_it_is_then_both_commands_then_the_program() -> None:
    order = ["# caclient", "caclient demo", "pytest", "```python", "## Read on"]
    positions = [README.index(text) for text in order]
    assert positions == sorted(positions)
    assert len(README.splitlines()) <= 60


def test_links_lead_to_pages_that_exist() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
