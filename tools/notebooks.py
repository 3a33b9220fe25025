"""Find, execute and render the notebooks; what the commands beside this module share."""

import asyncio
import contextlib
import datetime
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import joblib
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from utils.settings import SettingError
from utils.storage import BUILD, ROOT, read_json, write_text

OWN_ERRORS = ("DataError", "SettingError")  # their messages say what to do; a traceback would bury them
DIED = "the kernel died (out of memory, or a full disk?)"


def find(numbers: str = "") -> list[Path]:
    """Paths of the numbered notebooks, in order; of those in numbers, such as "02" or "02,08", where given.

    "" and "all" mean all; blanks may stand for the commas. Raises SettingError for a number that no notebook has, and
    for an entry that is empty or repeated.
    """
    notebooks = {path.name[:2]: path for path in sorted(ROOT.glob("[0-9][0-9]_*.ipynb"))}
    if numbers.strip() in ("", "all"):
        return list(notebooks.values())
    parts = numbers.split(",") if "," in numbers else numbers.split()
    wanted = [part.strip().zfill(2) if part.strip() else "" for part in parts]
    there_are = f"There are: {', '.join(notebooks)}, or all."
    if "" in wanted:
        raise SettingError(f"NB={numbers} has an empty entry. Use numbers such as 02 or 02,08. {there_are}")
    if unknown := [number for number in wanted if number not in notebooks]:
        raise SettingError(f"NB={numbers}: there is no notebook {', '.join(unknown)}. {there_are}")
    if len(set(wanted)) < len(wanted):
        raise SettingError(f"NB={numbers} names a notebook twice. Name each once.")
    return [notebooks[number] for number in wanted]


def find_solutions(number: str = "") -> list[Path]:
    """Paths of the notebooks with solutions to the exercises, or of one notebook's. Raises SettingError where it has none."""
    found = sorted((ROOT / "solutions").glob(f"{number.strip() or '[0-9][0-9]'}_solutions.ipynb"))
    if not found:
        raise SettingError(f"NB=solutions/{number}: there is no solutions/{number or 'NN'}_solutions.ipynb.")
    return found


def check_build() -> None:
    """Exit with one line where build/ cannot be written, before anything has been computed for it."""
    try:
        for folder in ("html", "logs"):
            probe = BUILD / folder / f"probe-{os.getpid()}"  # another call may be looking, too
            write_text(probe, "can be written\n" * 100)
            probe.unlink()
    except OSError as error:
        sys.exit(cannot_write(error))


def cannot_write(error: OSError, what: str = "build/") -> str:
    """One line about a file that could not be written."""
    return f"{what} cannot be written: {error.strerror or error}"


class NotebookFailed(Exception):
    """A notebook stopped in a cell; the message says where and why.

    notebook: what it had done; cell: the number of the code cell that ran, 0 where none did; where: the same in words.
    """

    def __init__(self, message: str, notebook: NotebookNode, cell: int):
        super().__init__(message)
        self.notebook, self.cell = notebook, cell
        self.where = f"in cell {cell}" if cell else "before its first cell"


class _Client(NotebookClient):
    """A client that passes on what the cells print where `echo` is set."""

    echo = False

    def output(self, outs, msg, display_id, cell_index):
        if self.echo and msg["msg_type"] == "stream":
            sys.stdout.write(msg["content"]["text"])
            sys.stdout.flush()
        return super().output(outs, msg, display_id, cell_index)


def clear(notebook: NotebookNode) -> None:
    """Remove outputs and counts, so that a cell that is not reached shows nothing."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


async def execute(
    path: Path,
    *,
    name: str = "",
    echo: bool = False,
    on_cell: Callable[[int, bool], None] = lambda cell, done: None,
    **env: str,
) -> NotebookNode:
    """Execute a notebook in a kernel of its own and return the executed copy; the file stays untouched.

    name: of the log under build/logs, which takes what the backend's C++ code writes and the traceback of an error;
    without one the notebook's. echo: print what the cells print. on_cell: called with the number of a code cell when
    it starts (False) and when it is done (True). env: environment variables for the kernel, beside the caller's.
    Raises NotebookFailed where a cell fails or the kernel dies. When the task is cancelled, the kernel is stopped at
    once.
    """
    notebook = nbformat.read(path, as_version=4)
    clear(notebook)
    log_path = BUILD / "logs" / f"{name or path.stem}.log"
    numbers, running = number_cells(notebook), 0

    def cell_starts(cell, cell_index):
        nonlocal running
        running = numbers[cell_index]
        on_cell(running, False)

    client = _Client(
        notebook,
        timeout=None,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent if path.is_relative_to(ROOT) else ROOT)}},
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
        on_cell_execute=cell_starts,
        on_cell_executed=lambda cell, cell_index, execute_reply: on_cell(numbers[cell_index], True),
    )
    client.echo = echo
    client.log.setLevel("CRITICAL")  # what it would log, we report
    with _opened(log_path) as log:
        work = asyncio.create_task(
            client.async_execute(env={**os.environ, "COURSE_TRACEBACK": "1", **env}, stdout=log, stderr=log)
        )
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            client.shutdown_kernel = "immediate"  # it may be busy for minutes
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if client.km is not None and client.km.has_kernel:  # it was only starting
                await client.km.shutdown_kernel(now=True)
            raise
    try:
        work.result()
    except CellExecutionError as error:
        traceback = strip_ansi(error.traceback)
        _append(log_path, traceback)
        where = f"{path.name} failed in cell {running}: "
        if error.ename in OWN_ERRORS:
            raise NotebookFailed(where + error.evalue, notebook, running) from None
        message = f"{where}{traceback}\nThe backend's own messages: {log_path}"
        raise NotebookFailed(message, notebook, running) from None
    except RuntimeError as error:
        if running and not isinstance(error, DeadKernelError):
            raise
        why = DIED if running else f"the kernel did not start ({error})"
        if running:
            _cell(notebook, running).outputs.append(
                nbformat.v4.new_output("error", ename="DeadKernelError", evalue=why, traceback=[why])
            )
        where = f" in cell {running}" if running else ""
        message = f"{path.name} failed{where}: {why}\nThe backend's own messages: {log_path}"
        raise NotebookFailed(message, notebook, running) from None
    return notebook


def number_cells(notebook: NotebookNode) -> dict[int, int]:
    """Index among all cells -> number among the code cells, from 1, as a page shows it."""
    indices = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]
    return {index: number for number, index in enumerate(indices, 1)}


def _cell(notebook: NotebookNode, number: int) -> NotebookNode:
    return next(notebook.cells[i] for i, n in number_cells(notebook).items() if n == number)


@contextlib.contextmanager
def _opened(log_path: Path):
    """The log, to be written; nowhere, where the disk is full: a log is no reason to stop."""
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log = log_path.open("w", encoding="utf-8")
    except OSError:
        yield subprocess.DEVNULL
        return
    with log:
        yield log


def _append(log_path: Path, text: str) -> None:
    with contextlib.suppress(OSError), log_path.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def run(work: Coroutine):
    """The result of a coroutine that executes notebooks. On Ctrl-C it is cancelled, which ends the kernels.

    It runs in a thread: in the main one nbclient sets signal handlers of its own, which several notebooks at a time
    cannot share. Raises KeyboardInterrupt when the kernels have ended.
    """
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop = runner.get_loop()
    task = loop.create_task(work)

    def until_done():
        with runner:  # which ends what nbclient leaves
            loop.run_until_complete(asyncio.wait([task]))

    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(until_done)
        try:
            while not thread.done():
                wait([thread], timeout=0.5)  # without an end it could not be interrupted on Windows
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(task.cancel)
            raise  # when the pool has waited for the thread
    return task.result()


def last_state(text: str) -> str:
    """What a terminal shows of a text in which progress bars overwrote themselves."""
    return "".join(
        line.rstrip("\n").split("\r")[-1] + "\n" * line.endswith("\n") for line in text.splitlines(True)
    )


def tidy_streams(notebook: NotebookNode) -> None:
    """Join split streams and keep what a terminal would show of them."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        joined = []
        for output in cell.outputs:
            if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
                joined[-1].text += output.text
            else:
                joined.append(output)
        for output in joined:
            if output.output_type == "stream":
                output.text = last_state(output.text)
        cell.outputs = [output for output in joined if output.get("text") != ""]


def write_html(notebook: NotebookNode, path: Path, title: str, note: str = "") -> None:
    """Render an executed notebook as one self-contained page that loads nothing from the network.

    Of its progress bars the page keeps the last state, as a terminal does. note: Markdown that stands below the last
    cell that ran. Raises OSError where the page cannot be written.
    """
    tidy_streams(notebook)
    cells = list(notebook.cells)
    if note:
        ran = [i for i, cell in enumerate(cells) if cell.get("execution_count")]
        done = all(cells[i].execution_count for i in number_cells(notebook))
        cells.insert(len(cells) if done else ran[-1] + 1 if ran else 0, nbformat.v4.new_markdown_cell(note))
    exporter = HTMLExporter(embed_images=True)
    for script in ("jquery_url", "require_js_url", "mathjax_url", "mermaid_js_url"):
        setattr(exporter, script, "")
    page, _ = exporter.from_notebook_node(
        nbformat.from_dict({**notebook, "cells": cells}), resources={"metadata": {"name": title}}
    )
    write_text(path, page.replace('<script src=""></script>', ""))


def heading(notebook: NotebookNode) -> str:
    """The notebook's title: its first Markdown heading."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def titles() -> dict[str, str]:
    """The title of every notebook, by the name of its file."""
    return {path.name: heading(nbformat.read(path, as_version=4)) for path in find()}


def device(notebook: NotebookNode) -> str:
    """The device that Run's line names in an executed notebook, such as CPU; '' where there is no such line."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            line = r"(?m)^\w+ scale · seed \d+ · Keras .* · (.+)$"
            if output.output_type == "stream" and (found := re.search(line, output.text)):
                return found.group(1)
    return ""


def facts(executed: NotebookNode, seconds: float, threads: int) -> str:
    """A line for a page: how long the notebook took, on what, and when."""
    cores = joblib.cpu_count()
    share = f"{threads} of {cores} cores" if threads < cores else f"{cores} core{'s' if cores > 1 else ''}"
    on = ", ".join(part for part in (device(executed), share) if part)
    return f"Executed in {seconds:.0f} s on {on}, {datetime.date.today().isoformat()}."


def training_seconds(path: Path, since: float = 0) -> str:
    """The same of the models in a result file that is no older than since: how long each trained; '' without any."""
    if not path.exists() or path.stat().st_mtime < since:
        return ""
    models = read_json(path).get("models", {})
    seconds = [f"{name} {model['seconds'][0]:.1f}" for name, model in models.items() if "seconds" in model]
    return f"\n\n*Seconds of training: {', '.join(seconds)}.*" if seconds else ""


def stopped(failed: str) -> str:
    """The same of a notebook that failed, such as "failed in cell 5"."""
    return f"**The notebook {failed}; what follows has not been executed.**"
