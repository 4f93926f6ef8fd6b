"""How Sphinx builds this documentation: ``sphinx-build -W -b html docs docs/_build/html``."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "pytest-netns"
author = "The pytest-netns developers"
copyright = author  # noqa: A001 - Sphinx's name for it
version = release = metadata.version("pytest-netns")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
root_doc = "index"

html_theme = "furo"
html_title = f"pytest-netns {version}"
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say what it is, and who owns it
python_maximum_signature_line_length = 100

nitpicky = True  # a link that leads nowhere is an error
nitpick_ignore_regex = [("py:.*", r"(?!pytest_netns).*")]  # the standard library and pyroute2 are not linked


def show_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Hide constructors, which the fixtures call, and the names that modules have only inside the package."""
    if signature is None:
        return None
    if what in ("class", "exception"):
        return "", None
    return signature.replace("stdlib.", "socket.").replace("handed_out.DEFAULT_TIMEOUT", "..."), None


def setup(app: Sphinx) -> None:
    """Give the things that only pytest has a directive and a role of their own."""
    app.add_object_type("fixture", "fixture", "pair: %s; fixture", objname="pytest fixture")
    app.add_object_type("marker", "marker", "pair: %s; marker", objname="pytest marker")
    app.connect("autodoc-process-signature", show_signature)
