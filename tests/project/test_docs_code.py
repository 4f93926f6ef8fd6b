"""What the pages show is what the project has: code that runs, and pictures that can be read."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from trials.bench.report import LABEL, heading, value
from trials.bench.timing import Sample

PROJECT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
DOCS = PROJECT / "docs"
SNIPPETS = DOCS / "snippets"


def load(name: str) -> ModuleType:
    """Load a script of ``docs``, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fill, failures = load("fill"), load("failures")
PAGES = [pytest.param(path, id=str(path.relative_to(PROJECT))) for path in fill.PAGES]
every_page = pytest.mark.parametrize("page", PAGES)


# Code


@every_page
def test_pages_show_what_the_files_have(page: Path) -> None:
    text = page.read_text()
    assert text == fill.filled(text, page.parent, fill.Figures(DOCS / "figures.json")), "run: make pages"


def test_a_file_that_has_changed_is_noticed() -> None:
    page = DOCS / "index.md"
    text = page.read_text()
    changed = text.replace("def test_echo", "def test_other", 1)
    assert changed != text
    assert fill.filled(changed, page.parent, fill.Figures(DOCS / "figures.json")) == text


def test_pictures_of_networks_are_those_of_their_texts() -> None:
    shown = {path: path.read_text() for path in fill.PICTURES.iterdir()}
    assert shown == fill.pictures(), "run: make pages"


@pytest.mark.parametrize(
    ("page", "address"), [("tutorial-networks.md", "10.0.3.2/24"), ("how-to/nat.md", "10.0.1.1/24")]
)
def test_a_drawing_that_is_stale_is_noticed(page: str, address: str) -> None:
    path = DOCS / page
    text = path.read_text()
    changed = text.replace(address, "10.0.9.9/24", 1)
    assert changed != text
    assert fill.filled(changed, path.parent, fill.Figures(DOCS / "figures.json")) == text


@every_page
def test_no_drawing_of_a_network_is_made_by_hand(page: Path) -> None:
    others = fill.DRAWING.sub("", page.read_text())
    assert re.findall(r"^\S+  (?:host|router|switch|nat(?: \S+)?)$", others, re.MULTILINE) == []


@pytest.mark.slow
@pytest.mark.parametrize("test", [pytest.param(path, id=path.stem) for path in failures.tests()])
def test_reports_are_shown_as_they_are(test: Path) -> None:
    assert failures.report(test) == test.with_suffix(".txt").read_text(), "run: make pages"


def compared(text: str) -> str:
    """Return a text on one line, without what is another in each run: times, and ports that the kernel picks."""
    return " ".join(
        re.sub(r"^ *\d+\.\d{3}(?= )|[\d.]+(?= s later)|(?<=SYN )\d+|-{5,}", "N", text, flags=re.MULTILINE).split()
    )


@pytest.mark.slow
def test_the_report_in_the_readme_is_what_the_example_shows(pytester: pytest.Pytester) -> None:
    """It leaves out some lines, and begins a new one where one is long."""
    shown = re.search(
        r"^  ```text\n(  TimeoutError.*?)^  ```$", (PROJECT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert shown is not None
    pytester.copy_example(str(PROJECT / "examples" / "test_why_it_fails.py"))
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "--netns-capture=failed", "--xfail-tb")
    result.assert_outcomes(xfailed=1)
    report, position = compared(result.stdout.str()), 0
    for line in filter(None, map(compared, shown[1].splitlines())):
        position = report.find(line, position)
        assert position >= 0, f"not shown, or not there: {line}"
        position += len(line)


@every_page
def test_python_in_pages_is_from_files_that_run(page: Path) -> None:
    text = page.read_text()
    shown = re.findall(r"^```(?:python|py|pycon)\b", text, re.MULTILINE)
    if page == PROJECT / "README.md":
        assert len(shown) == 1  # and tests run it
    else:
        assert len(shown) == len([match for match in fill.CODE.finditer(text) if match[4] == "python"])


def test_all_snippets_are_shown() -> None:
    shown = {match[1] for page in fill.PAGES for match in fill.CODE.finditer(page.read_text())}
    files = {path for path in SNIPPETS.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in shown if name.startswith("snippets/")} == {
        path.relative_to(DOCS).as_posix() for path in files
    }


@every_page
def test_pages_can_be_read_in_any_viewer_of_markdown(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"^```\{(literalinclude|raw|code-block|image|figure)\}", text, re.MULTILINE)
    assert not re.search(r"^\(\S+\)=$", text, re.MULTILINE)  # a target of MyST; a heading has one anyway
    # A comment at the beginning of a line makes a block of it, and Markdown in that is not read.
    assert not re.search(r"^ *<!-- figure", text, re.MULTILINE)


def test_the_example_of_the_readme_passes_as_pasted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(python_of_the_readme())
    pytester.makefile(".ini", pytest="[pytest]\n")  # not that of this project
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=5)


def python_of_the_readme() -> str:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", (PROJECT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert isinstance(shown, str)
    return shown


def test_one_story_about_root() -> None:
    """Three pages tell it, in the same words."""
    pages = (PROJECT / "README.md", DOCS / "index.md", DOCS / "how-to" / "rootless.md")
    stories = {
        re.findall(r"^<!-- root -->\n(.*?)<!-- end root -->$", page.read_text(), re.MULTILINE | re.DOTALL)[0]
        for page in pages
    }
    assert len(stories) == 1


EXAMPLES = sorted((PROJECT / "examples").glob("test_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_show_their_network(example: Path) -> None:
    about = ast.get_docstring(ast.parse(example.read_text()))
    assert about is not None
    assert re.search(r"\n\n(    .*\n)*    .*--", about)  # a picture in text, which make demo prints
    assert example.name in (PROJECT / "examples" / "README.md").read_text()


# Figures

# What is no figure of ours: what the kernel does, limits of a trial, and how large the measured process was.
NOT_MEASURED_BY_THE_BENCHMARKS = {"20 ms", "4 KB", "2 MB", "44 MB", "50 MB"}


@every_page
def test_figures_are_those_of_one_run(page: Path) -> None:
    """What is written by hand grows old: a socket took 0.051, 0.09 and 0.03 ms, each on a page of its own."""
    prose = fill.CODE.sub("", fill.FIGURE.sub("", page.read_text()))
    prose = re.sub(r"^```.*?^```$", "", prose, flags=re.MULTILINE | re.DOTALL)
    by_hand = set(re.findall(r"\d+(?:\.\d+)? (?:ns|µs|us|ms|KB|MB|milliseconds|microseconds|times)\b", prose))
    assert by_hand <= NOT_MEASURED_BY_THE_BENCHMARKS


def test_the_shown_run_is_the_one_with_the_figures() -> None:
    shown = (DOCS / "figures.txt").read_text()
    measured = json.loads((DOCS / "figures.json").read_text())
    assert shown.startswith(heading(measured["machine"], measured["quick"]))
    for section in measured["sections"]:
        for row in section["rows"]:
            sample = Sample(**{name: row[name] for name in ("median", "low", "high", "count", "unit")})
            assert f"\n{row['label']:{LABEL}}{value(sample):>11}" in shown
    assert not measured["quick"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.03345, "0.033"), (0.5969, "0.6"), (3.8657, "3.9"), (9.96, "10"), (42.7, "43"), (1289.0, "1300")],
)
def test_two_digits(number: float, text: str) -> None:
    assert fill.two_digits(number) == text


# English

# Terms that nobody else uses, or that have to be read twice, and what the pages say instead.
NOT_OUR_TERMS = {
    r"\bhome\b": "the original namespace",
    r"\b(at|in|the right|the wrong|another) place\b": "the namespace, or whatever is meant",
    r"(?<!\b(?:was|are)\s)(?<!\bis\s)(?<!\bwere\s)\bkept\b": "hold, refer to",  # but of --netns-keep
    r"\bjudged?\b": "check",
    r"\bgives? up root\b": "drop privileges",
    r"\bguard\b": "leak check",
    r"\bas \S+ has it\b": "with",
    r"\btwin\b|\bwhoever\b|\bof others\b|\bspare\b": "a plain noun",
}


@every_page
def test_pages_use_the_terms_of_the_field(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`]*`", "", prose)
    found = {term[0]: instead for pattern, instead in NOT_OUR_TERMS.items() for term in re.finditer(pattern, prose)}
    assert found == {}


# Pictures

SVG = "{http://www.w3.org/2000/svg}"
PHONE = 328  # pixels that a page's text has on a phone of 360
PICTURES = sorted((DOCS / "pictures").glob("*.svg"))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_legible_on_a_phone(picture: Path) -> None:
    svg = ElementTree.parse(picture).getroot()
    width = float(svg.get("viewBox", "").split()[2])
    assert svg.get("width") == f"{width:.0f}"  # and no larger elsewhere
    sizes = [float(size) for size in re.findall(r'font-size(?:="|: )([\d.]+)', picture.read_text())]
    assert min(sizes) * PHONE / width >= 11


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_pictures_have_a_background_of_their_own(picture: Path) -> None:
    """An image knows nothing of the page around it, which may be light or dark."""
    svg = ElementTree.parse(picture).getroot()
    card = svg.find(f"{SVG}rect")
    assert card is not None
    assert card.get("class") == "card"
    text = picture.read_text()
    assert "currentColor" not in text
    light, _, dark = text.partition("@media (prefers-color-scheme: dark)")
    for scheme in (light, dark):
        colours = [re.search(rf"{name} \{{ fill: (#\w+)", scheme) for name in (r"\.card", "text")]
        assert all(colours)
        one, other = (luminance(colour[1]) for colour in colours if colour)
        assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 7  # WCAG 2.1, 1.4.6


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.1)."""
    channels = [int(colour[first : first + 2], 16) / 255 for first in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
