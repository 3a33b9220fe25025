"""Find, execute and render the notebooks; what the commands beside this module share."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from tqdm import tqdm

from utils.storage import BUILD, ROOT, write_text


def find(numbers: str = "") -> list[Path]:
    """Paths of the numbered notebooks, in order; of those in numbers, such as "02" or "02,08", where given.

    Exits with one line for a number that no notebook has.
    """
    notebooks = {path.name[:2]: path for path in sorted(ROOT.glob("[0-9][0-9]_*.ipynb"))}
    wanted = [part.strip().zfill(2) for part in numbers.split(",") if part.strip()] or list(notebooks)
    if unknown := [number for number in wanted if number not in notebooks]:
        sys.exit(
            f"NB={numbers}: there is no notebook {', '.join(unknown)}. There are: {', '.join(notebooks)}."
        )
    return [notebooks[number] for number in wanted]


class NotebookFailed(Exception):
    """A notebook stopped; `notebook` holds what it had done, the message says where and why."""

    def __init__(self, message: str, notebook: NotebookNode):
        super().__init__(message)
        self.notebook = notebook


class _Client(NotebookClient):
    """A client that reports each cell, and passes on what the cells print where `echo` is set."""

    echo = False
    bar: tqdm | None = None

    def output(self, outs, msg, display_id, cell_index):
        if self.echo and msg["msg_type"] == "stream":
            sys.stdout.write(msg["content"]["text"])
            sys.stdout.flush()
        return super().output(outs, msg, display_id, cell_index)

    async def async_execute_cell(self, cell, cell_index, *args, **kwargs):
        executed = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if self.bar is not None and cell.cell_type == "code":
            self.bar.update()
        return executed


def execute(path: Path, echo: bool = False, **env: str) -> NotebookNode:
    """Execute a notebook in a kernel of its own and return the executed copy; the file stays untouched.

    echo: print what the cells print, rather than a bar over the cells. env: environment variables for the
    kernel, beside the caller's. What the backend's C++ code writes goes to build/logs, not into the outputs.
    Raises NotebookFailed where a cell fails or the kernel dies. Exits with one line when interrupted.
    """
    notebook = nbformat.read(path, as_version=4)
    log_path = BUILD / "logs" / f"{path.stem}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    client = _Client(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT)}},
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
    )
    client.echo = echo
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    with (
        log_path.open("w") as log,
        tqdm(total=cells, desc=path.stem, unit="cell", disable=echo, ncols=100) as bar,
    ):
        client.bar = bar
        try:
            client.execute(env={**os.environ, **env}, stdout=log, stderr=log)
        except (CellExecutionError, DeadKernelError) as error:
            why = getattr(error, "traceback", "the kernel died (out of memory?)")
            message = f"{path.name} failed: {why}\nThe backend's own messages: {log_path}"
            raise NotebookFailed(message, notebook) from None
        except (KeyboardInterrupt, AssertionError) as error:
            # On Ctrl-C nbclient shuts the kernel down, and then asserts that there is one.
            if isinstance(error, AssertionError) and client.km is not None:
                raise
            bar.close()
            sys.exit(
                f"\nInterrupted in {path.name}. Finished work is kept; the same command goes on from there."
            )
    return notebook


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


def write_html(notebook: NotebookNode, path: Path, title: str) -> None:
    """Render an executed notebook as one self-contained page that loads nothing from the network.

    Of its progress bars the page keeps the last state, as a terminal does.
    """
    tidy_streams(notebook)
    exporter = HTMLExporter(embed_images=True)
    for script in ("jquery_url", "require_js_url", "mathjax_url", "mermaid_js_url"):
        setattr(exporter, script, "")
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    write_text(path, page.replace('<script src=""></script>', ""))


def heading(notebook: NotebookNode) -> str:
    """The notebook's title: its first Markdown heading."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")
