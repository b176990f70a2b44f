"""Every Python block of the README and of the documentation runs, and prints what the page says.

All blocks of a page run in one fresh interpreter, in order. The page says in a comment what they need:
``<!-- run: random_walk -->`` for the demo IOC, ``<!-- run: walk_through -->`` for the repeater daemon as well,
``<!-- run: nothing -->`` for no server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.softioc import RandomWalkIoc

ROOT = Path(__file__).resolve().parents[2]
NEEDS = re.compile(r"^<!-- run: (\w+) -->$", re.MULTILINE)
FENCED = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\s*<!-- output -->\n```text\n(?P<output>.*?)^```)?", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^]]*\]\((\w+\.pcap)\)")
"""A file that the reader is told to save."""
NUMBER = re.compile(r"[-+]?\d[\d.:]*(?:e[-+]?\d+)?")

# Runs the blocks given on standard input as JSON, [line, code] each; what each printed goes to standard output as JSON.
_RUN_BLOCKS = """
import contextlib, io, json, sys
page, blocks = json.load(sys.stdin)
namespace = {"__name__": "__main__"}
outputs = []
for line, code in blocks:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\\n" * line + code, page, "exec"), namespace)
    outputs.append(printed.getvalue())
print(json.dumps(outputs))
"""


@dataclass(frozen=True)
class Block:
    """One fenced block: the lines above it on its page, its code, and the output that the page promises, if any."""

    line: int
    code: str
    output: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start("code")), found["code"], found["output"])
        for found in FENCED.finditer(text)
    ]


PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if blocks_of(page)]


@pytest.fixture
def nothing() -> dict[str, str]:
    """No server, and the environment that all tests have."""
    return {}


@pytest.fixture
def random_walk(random_walk_ioc: RandomWalkIoc) -> dict[str, str]:
    """The demo IOC, and the environment in which a client sees it."""
    return random_walk_ioc.client_environment()


@pytest.fixture
def walk_through(random_walk: dict[str, str]) -> Iterator[dict[str, str]]:
    """The demo IOC and the repeater daemon, as the reader of the tutorial has started them."""
    command = [sys.executable, "-u", "-m", "caclient.repeater"]
    with subprocess.Popen(command, env=os.environ | random_walk, cwd=ROOT, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline().startswith("Repeater is listening on ")
        yield random_walk
        daemon.terminate()
        assert daemon.wait(5) == 0


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def need_of(page: Path) -> str:
    found = NEEDS.findall(page.read_text(encoding="utf-8"))
    assert len(set(found)) == 1, f"{name_of(page)} must say what its Python blocks need: {found}"
    return str(found[0])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_run_and_print_what_the_page_says(page: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    environment: dict[str, str] = request.getfixturevalue(need_of(page))
    blocks = blocks_of(page)
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        shutil.copy(page.parent / link, tmp_path)
    printed = run_blocks(page, blocks, environment, tmp_path)
    for block, text in zip(blocks, printed, strict=True):
        if block.output is not None:
            assert masked(text) == masked(block.output), f"{name_of(page)}, block at line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_says_how_to_start_what_its_code_needs(page: Path) -> None:
    text, need = page.read_text(encoding="utf-8"), need_of(page)
    assert need == "nothing" or "python -m caclient.ioc_examples.random_walk" in text
    assert need != "walk_through" or "caclient-repeater" in text
    assert not [block.line for block in blocks_of(page) if 'environ["EPICS' in block.code], "a reader has no variables"


def test_first_program_has_at_most_ten_lines() -> None:
    first = blocks_of(ROOT / "README.md")[0]
    assert len(first.code.splitlines()) <= 10
    assert first.output is not None


def test_sniffer_has_at_most_forty_lines() -> None:
    sniffer = blocks_of(ROOT / "docs" / "how-to" / "sniffer.md")[0]
    assert len(sniffer.code.splitlines()) <= 40


def run_blocks(page: Path, blocks: list[Block], environment: dict[str, str], folder: Path) -> list[str]:
    """What each block printed, run in a folder that has nothing but what the page gives its reader."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _RUN_BLOCKS],
        input=json.dumps([str(page), [[block.line, block.code] for block in blocks]]),
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    printed: list[str] = json.loads(done.stdout)
    return printed


def masked(text: str) -> str:
    """Text with its numbers and the widths of its gaps made equal: they change from run to run.

    So is the order in which flags are named, which changed with Python 3.11.
    """
    text = re.sub(r"\s+", " ", NUMBER.sub("#", text)).replace("WRITE|READ", "READ|WRITE").strip()
    return text.replace("read failed: ECONNRESET", "closed by the server")  # if our last words were on their way to it
