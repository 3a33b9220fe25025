"""Chromium or Chrome, without a window, and what it saw when a test failed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from utils.storage import BUILD

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SEEN = BUILD / "screenshots"


def browser_and_driver() -> tuple[str, str | None]:
    """Paths of a browser and of its driver; without a driver in PATH, Selenium fetches one."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("These tests need Chromium or Chrome (on Debian: apt install chromium chromium-driver).")
    return found, shutil.which("chromedriver")


@pytest.fixture(scope="module")  # JupyterLab would have a say in what is opened after it
def chromium() -> Iterator[webdriver.Chrome]:
    browser, driver = browser_and_driver()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # As root, as in most containers, Chromium runs without its sandbox only; the pages are our own.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(chromium, request) -> Iterator[Callable]:
    """page(url, width, theme) opens a page; what is shown when the test fails is kept in build/screenshots."""

    def opened(url: str, width: int = 1400, theme: str = "light") -> webdriver.Chrome:
        schemes = [{"name": "prefers-color-scheme", "value": theme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": schemes})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.get_log("browser")  # what earlier pages said
        chromium.get(url)
        return chromium

    yield opened
    if request.node.stash.get(FAILED, False):
        SEEN.mkdir(parents=True, exist_ok=True)
        chromium.save_screenshot(str(SEEN / f"{request.node.name}.png".replace("/", "_")))


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


def complaints(chrome: webdriver.Chrome) -> list[str]:
    """What the page wrote into the browser's console as errors or warnings."""
    return [
        entry["message"] for entry in chrome.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]


def stems() -> list[str]:
    from tools import notebooks

    solutions = sorted((notebooks.ROOT / "solutions").glob("*.ipynb"))
    return [*(path.stem for path in notebooks.find("all")), *(f"solutions/{path.stem}" for path in solutions)]


def uri(path: Path, query: str = "") -> str:
    return path.as_uri() + query
