"""How Sphinx builds this documentation: ``sphinx-build -W -b html docs docs/_build/html``."""

from __future__ import annotations

import functools
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.pycode import ModuleAnalyzer

import pytest_netns

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

sys.path.insert(0, str(Path(__file__).parent))
import inventories

project = "pytest-netns"
author = "The pytest-netns developers"
copyright = author  # noqa: A001 - Sphinx's name for it
version = release = metadata.version("pytest-netns")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",  # a link to the source beside each name of the reference
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
root_doc = "index"

html_theme = "furo"
html_title = f"pytest-netns {version}"
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100

nitpicky = True  # a link that leads nowhere is an error
nitpick_ignore_regex = [
    ("py:.*", r"(?!pytest_netns).*"),  # names of others that docs/inventories.py does not list
    ("py:.*", r"pytest_netns\._.*"),  # types inside the package that signatures mention
]
intersphinx_disabled_reftypes = ["std:*"]  # :doc: and the like mean this project's

# What is copied is what is typed: no prompt, no output.
copybutton_prompt_text = r"\$ |\(Pdb\) "
copybutton_prompt_is_regexp = True
copybutton_here_doc_delimiter = "EOF"
copybutton_line_continuation_character = "\\"


def show_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Hide constructors, which the fixtures call, and the names that modules have only inside the package."""
    if signature is None:
        return None
    if what in ("class", "exception"):
        return "", None
    shown = signature.replace("stdlib.", "socket.").replace("handed_out.DEFAULT_TIMEOUT", "...")
    return shown, None if returns is None else returns.replace("stdlib.", "socket.")


def add_inventories(app: Sphinx, config: Config) -> None:
    """Let names of Python, pytest and pyroute2 be links."""
    folder = Path(app.doctreedir) / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    config.intersphinx_mapping = inventories.write(folder)


@functools.cache
def sources() -> dict[str, tuple[str, dict[str, tuple[str, int, int]]]]:
    """Return the code of each module, and where in it names are defined.

    Public names say that their module is ``pytest_netns``, and some methods of NetNS are defined in its base classes.
    Without this, viewcode would find neither.
    """
    found = {}
    package = Path(pytest_netns.__file__).parent
    bases = [cls.__name__ for cls in pytest_netns.NetNS.__mro__[1:-1]]
    for file in sorted(package.rglob("*.py")):
        module = ".".join(file.relative_to(package.parent).with_suffix("").parts)
        analyzer = ModuleAnalyzer.for_file(str(file), module)
        tags = analyzer.find_tags()
        for name, tag in list(tags.items()):
            cls, dot, member = name.partition(".")
            if dot and cls in bases:
                tags.setdefault(f"NetNS.{member}", tag)
        found[module] = analyzer.code, tags
    return found


def find_module(app: Sphinx, modname: str, name: str) -> str | None:
    """Return the module that defines a name."""
    return next((module for module, (_, tags) in sources().items() if name in tags), None)


def find_source(app: Sphinx, modname: str) -> tuple[str, dict[str, tuple[str, int, int]]] | None:
    return sources().get(modname)


def setup(app: Sphinx) -> None:
    """Give the things that only pytest has a directive and a role of their own."""
    app.add_object_type("fixture", "fixture", "pair: %s; fixture", objname="pytest fixture")
    app.add_object_type("marker", "marker", "pair: %s; marker", objname="pytest marker")
    app.connect("autodoc-process-signature", show_signature)
    app.connect("viewcode-follow-imported", find_module)
    app.connect("viewcode-find-source", find_source)
    app.connect("config-inited", add_inventories, priority=100)  # intersphinx reads the mapping at 800
