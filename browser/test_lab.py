"""JupyterLab: notebook 01 opened, run from top to bottom and looked at, from this folder and from elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from conftest import complaints
from utils.storage import ROOT

NOTEBOOK = "01_filter_example.ipynb"
STARTS, RUNS = 120, 300  # seconds, on a slow machine
STATE = """
const cells = jupyterapp.shell.currentWidget.content.model.sharedModel.cells
    .map(cell => cell.toJSON()).filter(cell => cell.cell_type === "code");
return {
    all: cells.length,
    ran: cells.filter(cell => cell.execution_count).length,
    errors: cells.flatMap(cell => cell.outputs).filter(output => output.output_type === "error")
        .map(output => output.ename + ": " + output.evalue),
};
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the course, since JupyterLab saves what it runs; under a name with a space."""
    copy = tmp_path_factory.mktemp("lab") / "the course"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "__pycache__"))
    return copy


@pytest.fixture(params=["this folder", "a folder up", "another working directory"])
def lab(request, checkout, tmp_path):
    """Address of a JupyterLab and the notebook's path in it."""
    up = request.param == "a folder up"
    root = checkout.parent if up else checkout
    working = tmp_path if request.param == "another working directory" else root
    runtime = tmp_path / "runtime"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    command += ["--expose-app-in-browser", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}"]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "DISPLAY")}
    environment |= {
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
    }
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=working, env=environment, stdout=log, stderr=log)
    try:
        limit = time.monotonic() + STARTS
        while not (found := list(runtime.glob("jpserver-*.json"))):
            assert server.poll() is None and time.monotonic() < limit, (tmp_path / "log").read_text()
            time.sleep(0.2)
        address = json.loads(found[0].read_text())["url"]
        yield address, f"{checkout.name}/{NOTEBOOK}" if up else NOTEBOOK
    finally:
        server.terminate()
        server.wait(30)


def test_01_runs_from_top_to_bottom(page, lab):
    address, path = lab
    chrome = page(f"{address}lab")
    app = "return typeof jupyterapp !== 'undefined' && jupyterapp.restored !== undefined"
    WebDriverWait(chrome, STARTS).until(lambda c: c.execute_script(app))
    chrome.set_script_timeout(STARTS)
    chrome.execute_async_script(
        """
        const done = arguments[1];
        jupyterapp.restored
            .then(() => jupyterapp.commands.execute("docmanager:open", {path: arguments[0]}))
            .then(panel => panel.context.ready.then(() => panel.sessionContext.ready))
            .then(() => { jupyterapp.commands.execute("notebook:run-all-cells"); done(); });
        """,
        path,
    )
    state = {}

    def finished(c) -> bool:
        state.update(c.execute_script(STATE))
        return state["errors"] or state["ran"] == state["all"]

    WebDriverWait(chrome, RUNS, poll_frequency=1).until(finished)
    assert state["errors"] == [] and state["all"] > 40
    moving = chrome.find_element(By.ID, "conv2d-sum")
    assert "=" in moving.get_attribute("textContent")
    severe = [text for text in complaints(chrome) if "conv2d" in text]
    assert severe == []
