"""The site as its readers meet it: every page, wide and narrow, light and dark, from a folder and without a network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from conftest import complaints, stems, uri
from tools.site import SITE
from utils.storage import ROOT

PAGES = ["index", *stems(), "chapter", "errata", "results", "glossary", "reading"]
TIMEOUT = 20  # seconds
LOADED = """
const images = [...document.images];
images.forEach(image => image.loading = "eager");
return images.every(image => image.complete);
"""
BROKEN = "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
NO_ALT = (
    "return [...document.images].filter(i => !i.alt.trim() || i.alt.startsWith('_images')).map(i => i.src)"
)
FETCHED = "return performance.getEntriesByType('resource').map(e => e.name)"
TOO_WIDE = "return document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="session", autouse=True)
def built():
    subprocess.run([sys.executable, "-m", "tools.site"], cwd=ROOT, check=True)


class Links(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.assets, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif values.get("src"):
            self.assets.append(values["src"])
        elif tag == "link" and values.get("href") and values.get("rel") != "canonical":
            self.assets.append(values["href"])


def test_every_link_within_the_site_leads_somewhere():
    read = {path.resolve(): Links(path) for path in SITE.rglob("*.html")}
    broken = []
    for path, page in read.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append(f"{path.name}: {link}")
            elif parts.fragment and target in read and unquote(parts.fragment) not in read[target].anchors:
                broken.append(f"{path.name}: {link} (no such place)")
    assert not broken


def test_nothing_is_loaded_from_a_network():
    far = []
    for path in SITE.rglob("*.html"):
        far += [f"{path.name}: {asset}" for asset in Links(path).assets if urlsplit(asset).netloc]
    for path in (*SITE.rglob("*.css"), *SITE.rglob("*.js")):
        text = path.read_text(encoding="utf-8")
        far += [
            f"{path.name}: {found}"
            for found in re.findall(r"(?:@import|url\()\s*['\"]?(https?://[^'\")]+)", text)
        ]
    assert not far


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("name", PAGES)
def test_page(page, name, width, theme):
    chrome = page(uri(SITE / f"{name}.html"), width, theme)
    WebDriverWait(chrome, TIMEOUT).until(lambda c: c.execute_script(LOADED))
    assert complaints(chrome) == []
    assert chrome.execute_script(BROKEN) == []
    assert chrome.execute_script(NO_ALT) == []
    assert chrome.execute_script(TOO_WIDE) <= 0, "the page can be moved sideways"
    assert [name for name in chrome.execute_script(FETCHED) if not name.startswith(("file:", "data:"))] == []


def test_search_finds_a_word(page):
    chrome = page(uri(SITE / "search.html", "?q=dilation"))
    WebDriverWait(chrome, TIMEOUT).until(lambda c: c.find_elements(By.CSS_SELECTOR, "ul.search li a"))
    found = [link.get_attribute("href") for link in chrome.find_elements(By.CSS_SELECTOR, "ul.search li a")]
    assert any("01_filter_example" in link for link in found)


def test_the_convolution_moves(page):
    chrome = page(uri(SITE / "01_filter_example.html"))
    said = chrome.find_element(By.ID, "conv2d-sum")
    before = said.text
    assert "=" in before
    Select(chrome.find_element(By.ID, "conv2d-s")).select_by_visible_text("2")
    chrome.execute_script(
        "const at = document.getElementById('conv2d-at'); at.value = 3; at.dispatchEvent(new Event('input'))"
    )
    assert said.text != before
    assert complaints(chrome) == []


def test_the_threshold_moves(page):
    chrome = page(uri(SITE / "04_cnn_with_time_series.html"))
    said = chrome.find_element(By.ID, "cut-sum")
    before = said.text
    chrome.execute_script(
        "const at = document.getElementById('cut-at'); at.value = at.min; at.dispatchEvent(new Event('input'))"
    )
    assert said.text != before
    assert complaints(chrome) == []


def test_a_tap_enlarges_a_figure(page):
    chrome = page(uri(SITE / "03_cifar10_image_classification.html"), 390)
    figure = chrome.find_element(By.CSS_SELECTOR, ".cell_output img")
    chrome.execute_script("arguments[0].scrollIntoView(); arguments[0].click()", figure)
    large = chrome.find_element(By.CSS_SELECTOR, ".enlarged img")
    assert large.size["width"] > 2 * figure.size["width"]
    chrome.execute_script("arguments[0].click()", large)
    assert not chrome.find_elements(By.CSS_SELECTOR, ".enlarged")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_the_page(page, theme):
    """At least 4.5 : 1 between text and ground, as WCAG 2 asks, for prose, links and code."""
    chrome = page(uri(SITE / "02_mnist_with_ffnn_and_lenet5.html"), theme=theme)
    luminance = """
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(
        v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
    ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = node => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    return arguments[0].map(selector => {
        const node = document.querySelector(selector);
        const pair = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
        return (pair[0] + 0.05) / (pair[1] + 0.05);
    });
    """
    kinds = [
        "article p",
        "article p a",
        "article h2",
        ".highlight pre",
        ".highlight .k",
        ".highlight .c1",
        ".highlight .s2",
    ]
    contrast = dict(zip(kinds, chrome.execute_script(luminance, kinds), strict=True))
    assert min(contrast.values()) >= 4.5, contrast
