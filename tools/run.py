"""make run: execute the notebooks, as many at a time as there are cores, and leave readable pages under build/html."""

import asyncio
import contextlib
import html
import os
import sys
import time
from pathlib import Path

import joblib
import nbformat
from tqdm import tqdm

from tools import notebooks
from tools.order import longest_first
from tools.threads import pinned
from utils import results
from utils.settings import SettingError, checked_scale, checked_seed
from utils.storage import read_json, write_json, write_text

FIRST = "01"  # a short one, so that there is soon a page to read
LAST_OF_CHAPTER = "08"  # what follows is taken with NB=all
# Several kernels on one GPU must not each take all of its memory at the start, as TensorFlow and JAX do.
SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">{refresh}
<title>The CNN course</title>
<style>
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }}
li {{ margin: .4rem 0 }} small {{ display: block; color: #555 }} .failed {{ color: #b00020; font-weight: 600 }}
</style>
<h1>The notebooks, executed</h1>
<p>{scale} scale, seed {seed}.</p>
<ul>
{items}
</ul>
</html>
"""
REFRESH = '<meta http-equiv="refresh" content="5">'  # while there is something to come


class Index:
    """build/html/index.html, and runs.json beside it, which keeps what is known of the pages from call to call.

    An entry of runs.json describes the page that is there: title, seconds, facts (a line) and, where the notebook
    failed, where.
    """

    def __init__(self, paths: list[Path], scale: str, seed: int):
        self.folder = notebooks.BUILD / "html"
        self.scale, self.seed = scale, seed
        self.titles = {path.stem: notebooks.heading(nbformat.read(path, as_version=4)) for path in paths}
        self.states = dict.fromkeys(self.titles, "waiting")
        self.pages = self._earlier()

    def _earlier(self) -> dict[str, dict]:
        try:
            known = read_json(self.folder / "runs.json")
        except ValueError:  # damaged: only the index of earlier pages is lost
            known = {}
        return {stem: page for stem, page in known.items() if (self.folder / f"{stem}.html").exists()}

    def seconds(self) -> dict[str, float]:
        """Seconds of earlier runs of this scale that came to their end."""
        return {
            stem: page["seconds"]
            for stem, page in self.pages.items()
            if not page["failed"] and page["scale"] == self.scale
        }

    def note(self, stem: str, state: str, page: dict | None = None) -> None:
        """Note what a notebook is doing, and what its new page is, where there is one; renew the files."""
        self.states[stem] = state
        if page:
            self.pages = self._earlier() | {s: p for s, p in self.pages.items() if p.get("new")}
            self.pages[stem] = page | {"new": True}
        self.write()

    def write(self) -> None:
        """Write both files. Raises OSError."""
        unfinished = any(state == "waiting" or state.startswith("running") for state in self.states.values())
        titles = {stem: page["title"] for stem, page in self.pages.items()} | self.titles
        text = PAGE.format(
            refresh=REFRESH if unfinished else "",
            scale=self.scale.capitalize(),
            seed=self.seed,
            items="\n".join(self._item(stem, title) for stem, title in sorted(titles.items())),
        )
        write_text(self.folder / "index.html", text)
        kept = {s: {k: v for k, v in page.items() if k != "new"} for s, page in sorted(self.pages.items())}
        write_json(self.folder / "runs.json", kept)

    def _item(self, stem: str, title: str) -> str:
        page, title = self.pages.get(stem), html.escape(title)
        link = f'<a href="{stem}.html">{title}</a>' if page else title
        lines = []
        if state := self.states.get(stem, ""):
            cls = ' class="failed"' if state.startswith("failed") else ""
            lines.append(f"<span{cls}>{html.escape(state)}</span>")
        if page:
            age = "" if page.get("new") else f"page of an earlier call, {page['scale']} scale: "
            failed = "" if page.get("new") or not page["failed"] else f"{page['failed']}; "
            lines.append(f"<small>{html.escape(age + failed + page['facts'])}</small>")
        return f"<li>{link} {' '.join(lines)}</li>"


class Runner:
    """One call: executes notebooks side by side and reports each as it ends."""

    def __init__(self, paths: list[Path], scale: str, seed: int):
        self.index = Index(paths, scale, seed)
        self.paths = longest_first(paths, self.index.seconds())
        self.paths.sort(key=lambda path: path.name[:2] != FIRST)
        cores = joblib.cpu_count()
        self.at_a_time = min(cores, len(paths))
        self.threads = cores // self.at_a_time
        self.env = pinned(self.threads, keep=True)
        if self.at_a_time > 1:
            self.env |= {name: value for name, value in SHARED_GPU.items() if name not in os.environ}
        self.failures: dict[str, str] = {}  # stem -> why
        self.running: dict[str, int] = {}  # stem -> number of the cell

    def run(self) -> None:
        """Execute all. Raises KeyboardInterrupt on Ctrl-C, when the kernels have ended."""
        cells = sum(len(notebooks.number_cells(nbformat.read(path, as_version=4))) for path in self.paths)
        shown = "{l_bar}{bar}| {n_fmt} of {total_fmt} cells, {elapsed}{postfix}"
        with tqdm(total=cells, ncols=100, bar_format=shown, disable=None, leave=False) as self.bar:
            notebooks.run(self._all())

    async def _all(self) -> None:
        free = asyncio.Semaphore(self.at_a_time)
        moving = asyncio.create_task(self._move())
        try:
            await asyncio.gather(*(self._one(path, free) for path in self.paths))
        finally:
            moving.cancel()

    async def _move(self) -> None:
        """The time in the bar goes on while a cell takes long."""
        while True:
            await asyncio.sleep(1)
            self.bar.refresh()

    def _on_cell(self, stem: str, cell: int, done: bool) -> None:
        self.running[stem] = cell
        self.bar.set_postfix_str(", ".join(f"{s[:2]}: {n}" for s, n in self.running.items()), refresh=False)
        self.bar.update(done)

    async def _one(self, path: Path, free: asyncio.Semaphore) -> None:
        async with free:
            stem, failed = path.stem, ""
            start, began = time.time(), time.perf_counter()  # a clock may be set, while a notebook runs
            self._note(stem, "running")
            try:
                executed = await notebooks.execute(
                    path, on_cell=lambda cell, done: self._on_cell(stem, cell, done), **self.env
                )
            except notebooks.NotebookFailed as failure:
                self.failures[stem] = str(failure)
                executed = failure.notebook  # its page shows how far it got
                failed = f"failed {failure.where}"
            except asyncio.CancelledError:
                cell = self.running.get(stem)
                self._note(stem, f"interrupted in cell {cell}" if cell else "interrupted")
                raise
            except Exception as error:  # not the notebook's: the others go on
                self.failures[stem] = f"{path.name} could not be executed: {error!r}"
                self._note(stem, "failed: could not be executed")
                self.bar.write(f"{stem:<32} could not be executed")
                return
            finally:
                self.running.pop(stem, None)
            seconds = time.perf_counter() - began
            await self._finish(path, executed, start, seconds, failed)

    async def _finish(self, path: Path, executed, start: float, seconds: float, failed: str) -> None:
        facts = notebooks.facts(executed, seconds, self.threads)
        page = self.index.folder / f"{path.stem}.html"
        text = f"*{facts}*"
        if failed:
            text = f"{notebooks.stopped(failed)} {text}"
        else:
            text += notebooks.training_seconds(
                results.run_path(path.stem, self.index.scale, self.index.seed), since=start
            )
        entry = {"title": self.index.titles[path.stem], "seconds": round(seconds, 1), "facts": facts}
        entry |= {"failed": failed, "scale": self.index.scale}
        line = f"{path.stem:<32} {seconds:5.0f} s"
        try:
            await asyncio.to_thread(notebooks.write_html, executed, page, entry["title"], text)
        except Exception as error:  # whatever it was, the other notebooks go on
            why = notebooks.cannot_write(error) if isinstance(error, OSError) else f"{error!r}"
            earlier = self.failures.get(path.stem)
            self.failures[path.stem] = "\n".join(filter(None, [earlier, f"{path.name} has no page: {why}"]))
            self._note(
                path.stem, f"{failed}, no page" if failed else "done, but its page could not be written"
            )
            self.bar.write(f"{line}   {failed or 'done'}, no page")
            return
        self._note(path.stem, failed or f"{seconds:.0f} s", entry)
        self.bar.write(f"{line}   {shown(page)}{f'   {failed}' if failed else ''}")

    def _note(self, stem: str, state: str, page: dict | None = None) -> None:
        with contextlib.suppress(OSError):  # a page that cannot be written is reported where it is
            self.index.note(stem, state, page)


def shown(path: Path) -> Path:
    """A path as one would type it in the course's folder."""
    return path.relative_to(notebooks.ROOT) if path.is_relative_to(notebooks.ROOT) else path


def chosen(numbers: str) -> list[Path]:
    """The notebooks to execute: those of the chapter, unless numbers name others, or all. Raises SettingError."""
    paths = notebooks.find(numbers)
    return paths if numbers.strip() else [path for path in paths if path.name[:2] <= LAST_OF_CHAPTER]


def main(numbers: str = "") -> None:
    try:
        scale = checked_scale(os.environ.get("COURSE_SCALE"))
        seed = checked_seed(os.environ.get("COURSE_SEED"))
        paths = chosen(numbers)
    except SettingError as error:
        sys.exit(str(error))
    notebooks.check_build()
    runner = Runner(paths, scale, seed)
    try:
        runner.index.write()
    except OSError as error:
        sys.exit(notebooks.cannot_write(error))
    index = shown(runner.index.folder / "index.html")
    print(
        f"Executing {len(paths)} notebook(s), {runner.at_a_time} at a time, about a minute each; "
        f"{index} fills meanwhile",
        flush=True,
    )
    interrupted = False
    try:
        runner.run()
    except KeyboardInterrupt:
        interrupted = True
        for stem, state in runner.index.states.items():
            if state == "waiting":
                runner.index.states[stem] = "not begun, interrupted"
    with contextlib.suppress(OSError):
        runner.index.write()
    print(f"Open {index}")
    endings = [why for _, why in sorted(runner.failures.items())]
    if interrupted:
        finished = [stem[:2] for stem, page in sorted(runner.index.pages.items()) if page.get("new")]
        kept = f"the pages of {', '.join(finished)} are kept" if finished else "no page was finished"
        endings.append(f"Interrupted: {kept}. The same command begins again; NB=… names fewer notebooks.")
    if endings:
        sys.exit("\n" + "\n\n".join(endings))


if __name__ == "__main__":
    main(*sys.argv[1:2])
