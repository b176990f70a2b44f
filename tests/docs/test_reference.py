"""The reference is whole: every public name, every setting and every field of the report has its place there."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields
from pathlib import Path

import caclient
from caclient.client.report import CircuitReport, Report

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
NAMED = re.compile(r"^\.\. auto(?:class|function|data):: caclient\.(\w+)$", re.MULTILINE)
MODULES = re.compile(r"^\.\. automodule:: (caclient[\w.]*)$", re.MULTILINE)


def text_of(page: str) -> str:
    return (REFERENCE / page).read_text(encoding="utf-8")


def documented() -> set[str]:
    """Names that the pages document by themselves, or with the module that defines them."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    modules = [importlib.import_module(name) for name in MODULES.findall(pages)]
    defined = {
        name
        for module in modules
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    }
    return set(NAMED.findall(pages)) | defined


def test_every_public_name_is_documented() -> None:
    assert set(caclient.__all__) - documented() == set()


def test_every_setting_is_in_the_tables() -> None:
    settings = {field.name for field in fields(caclient.Config) if field.compare}
    assert {name for name in settings if f"`{name}`" not in text_of("configuration.md")} == set()


def test_every_variable_that_is_read_is_in_the_tables() -> None:
    source = Path(caclient.config.__file__).read_text(encoding="utf-8")
    variables = set(re.findall(r'"(EPICS_CAS?_[A-Z_]+)"', source))
    assert variables
    assert {name for name in variables if f"`{name}`" not in text_of("configuration.md")} == set()


def test_every_field_of_the_report_is_explained() -> None:
    page = text_of("report.md")
    assert {f.name for kind in (Report, CircuitReport) for f in fields(kind) if f"`{f.name}`" not in page} == set()
