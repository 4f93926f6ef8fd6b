"""The built pages, looked at in a browser of the width of a phone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.project.test_docs_code import DOCS
from tests.support import browsers

WIDTH = 360  # pixels of CSS, as common phones have
SMALLEST = 10.5

MEASURE = """
<script>
addEventListener("load", () => {
  const article = document.querySelector("article");
  const texts = [];
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (text && parent.getClientRects().length && !parent.closest("sup, [class*=footnote], script, button"))
      texts.push([parseFloat(getComputedStyle(parent).fontSize), text]);
  }
  texts.sort((a, b) => a[0] - b[0]);
  const pictures = [...article.querySelectorAll("img")].map(
    image => [image.getAttribute("src"), image.naturalWidth, image.getBoundingClientRect().width]);
  parent.postMessage({
    page: PAGE, smallest: texts[0], pictures,
    copied: article.querySelectorAll("button.copybtn").length,
    code: article.querySelectorAll("div.highlight pre").length,
    width: document.documentElement.scrollWidth,
  }, "*");
});
</script>
"""
COLLECT = """<!doctype html><body><script>
const found = [];
addEventListener("message", event => {
  found.push(event.data);
  if (found.length === COUNT) document.body.textContent = JSON.stringify(found);
});
for (const page of PAGES) {
  const frame = document.createElement("iframe");
  frame.width = WIDTH; frame.height = 800; frame.src = page;
  document.body.append(frame);
}
</script></body>"""


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each page looks like: its smallest text, its pictures, its width."""
    browser = browsers.find()
    for module in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    site = folder / "html"
    build = [sys.executable, "-m", "sphinx", "-q", "-d", str(folder / "doctrees"), str(DOCS), str(site)]
    subprocess.run(build, check=True, capture_output=True)
    names = {
        path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts
    }
    for name in names:
        page = site / f"{name}.html"
        script = MEASURE.replace("PAGE", json.dumps(name))
        page.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    text = COLLECT.replace("COUNT", str(len(names))).replace("WIDTH", str(WIDTH))
    (site / "collect.html").write_text(text.replace("PAGES", json.dumps([f"{name}.html" for name in sorted(names)])))
    shown = browsers.body_of(browser, site / "collect.html", folder)
    pages = {page["page"]: page for page in json.loads(shown)}
    assert pages.keys() == names
    return pages


def test_no_text_is_too_small_for_a_phone(looks: dict[str, Any]) -> None:
    assert {name: page["smallest"] for name, page in looks.items() if page["smallest"][0] < SMALLEST} == {}


def test_no_page_is_wider_than_a_phone(looks: dict[str, Any]) -> None:
    """Tables and code scroll by themselves; the page does not."""
    assert {name: page["width"] for name, page in looks.items() if page["width"] > WIDTH} == {}


def test_pictures_are_loaded_and_hardly_scaled(looks: dict[str, Any]) -> None:
    pictures = [picture for page in looks.values() for picture in page["pictures"]]
    assert len({name.rpartition("/")[2] for name, _, _ in pictures}) == len(list((DOCS / "pictures").rglob("*.svg")))
    for name, natural, shown in pictures:
        assert natural > 0, name
        assert shown / natural >= 0.75, name  # of a text of 14 pixels that is 10.5


def test_code_can_be_copied(looks: dict[str, Any]) -> None:
    assert sum(page["code"] for page in looks.values()) > 50
    assert {name: page["copied"] for name, page in looks.items()} == {
        name: page["code"] for name, page in looks.items()
    }
