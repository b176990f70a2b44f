"""Sphinx builds the documentation with this; every warning is an error in .ci/run."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "caclient"
author = "The caclient developers"
copyright = "2026, The caclient developers"
release = version = version_of("caclient")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
html_theme = "furo"
html_title = "caclient"
