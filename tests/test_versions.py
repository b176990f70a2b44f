"""What is promised is what is checked: Python versions and platforms, in the metadata, the script and the workflow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PROMISED = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)


def test_the_oldest_is_what_pip_is_told() -> None:
    assert f'requires-python = ">={PROMISED[0]}"' in PYPROJECT
    assert f'target-version = "py{PROMISED[0].replace(".", "")}"' in PYPROJECT
    assert f'python_version = "{PROMISED[0]}"' in PYPROJECT


def test_the_script_checks_each() -> None:
    assert f'versions="{" ".join(PROMISED)}"' in (ROOT / ".ci/versions").read_text()
    assert re.search(r"^\.ci/versions\b", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_the_workflow_runs_each() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    versions = ", ".join(f'"{version}"' for version in PROMISED)
    assert f"python: [{versions}]" in workflow
    for system in ("ubuntu", "macos", "windows"):
        assert f"{system}-latest" in workflow


def test_the_page_names_each() -> None:
    page = (ROOT / "docs/explanation/platforms.md").read_text()
    for version in PROMISED:
        assert version in page


def test_the_workflow_is_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["run"]["steps"][-1]["run"].strip()
