"""Every console block of the command's pages is what one sees: each command is made, on a real IOC.

A line that begins with ``$`` is a command, what follows is its output; ``^C`` interrupts it, ``...`` stands for more
lines. Times, ages and ports are those of another day.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from caclient.cli.verbs import ALL
from tests.cli.commands import Commands, Running
from tests.interop.softioc import SoftIoc

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARYING = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}",
    r"(?:localhost|127\.0\.0\.1):\d+": r"[^\s:]+:\d+",
    r"[+-]\d\.\d{6}": r"[+-]\d\.\d{6}",
    r"\d+\.\d+ m?s\b": r"\d+\.\d+ m?s",
    r"\d\.\d/s": r"\d\.\d/s",
    r'"timestamp(?:_ns)?": [\d.]+': r'"timestamp(?:_ns)?": [\d.]+',
}
_VARYING = re.compile("|".join(f"({shown})" for shown in VARYING))


@dataclass
class Step:
    """One command of a page, and what it prints."""

    words: list[str]
    lines: list[str] = field(default_factory=list)

    @property
    def interrupted(self) -> bool:
        return "^C" in self.lines

    def pattern(self) -> str:
        shown = [line for line in self.lines if line != "^C"]
        return "".join(".*" if line == "..." else _line_pattern(line.rstrip()) + r"\n" for line in shown)


def _line_pattern(line: str) -> str:
    pattern, place = "", 0
    for found in _VARYING.finditer(line):
        assert found.lastindex is not None
        pattern += re.escape(line[place : found.start()]) + list(VARYING.values())[found.lastindex - 1]
        place = found.end()
    return pattern + re.escape(line[place:])


def steps_of(page: Path) -> list[Step]:
    steps: list[Step] = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append(Step(shlex.split(line[2:])))
            else:
                steps[-1].lines.append(line)
    return steps


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    access = HERE.parent / "cli" / "recorded" / "cli.acf"
    with SoftIoc("", records=(HERE / "command.db",), access=access, ready_name="lab:x") as ioc:
        folder = tmp_path_factory.mktemp("lab")
        (folder / "motors.txt").write_text("# the stage\nlab:x lab:y\n")
        (folder / "align.py").write_text("import epics\n\nepics.ca.sg_get(1)\n")
        with Commands(ioc.client_environment(), folder) as commands:
            yield commands


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_pages_say_what_one_sees(page: Path, lab: Commands) -> None:
    last: Running | None = None
    for step in steps_of(page):
        if step.words == ["echo", "$?"]:
            assert last is not None
            assert step.lines == [str(last.code)]
            continue
        last = _make(step, lab)
        said = "".join(f"{line.rstrip()}\n" for line in (last.stdout + last.stderr).splitlines())
        assert re.fullmatch(step.pattern(), said, re.DOTALL), f"{step.words}:\n{said}"


def _make(step: Step, lab: Commands) -> Running:
    environment = {}
    words = list(step.words)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    running = lab.start(words[0], words[1:], environment)
    if step.interrupted:
        assert running.wait_for_lines(len(step.lines) - 1), running.stdout + running.stderr
        running.send_signal(signal.SIGINT)
    running.finish()
    return running


def test_every_verb_has_its_page() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*ALL, "index", "from-base"}
    for verb in ALL:
        words = [step.words for step in steps_of(PAGES / f"{verb}.md")]
        assert any("caclient" in line and verb in line for line in words), verb
