"""make run: execute the notebooks in order and leave readable pages under build/html."""

import html
import os
import sys
import time

from tools import notebooks
from utils.storage import write_text

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The CNN course</title>
<style>body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }}</style>
<h1>The notebooks, executed</h1>
<p>{scale} scale, seed {seed}.</p>
<ul>
{items}
</ul>
</html>
"""


def main(numbers: str = "") -> None:
    paths = notebooks.find(numbers)
    pages = notebooks.BUILD / "html"
    print(f"Executing {len(paths)} notebook(s), about a minute each; pages go to {pages}")
    items, failures = [], []
    for path in paths:
        start = time.perf_counter()
        try:
            executed = notebooks.execute(path)
        except notebooks.NotebookFailed as failure:
            executed = failure.notebook  # its page shows how far it got
            failures.append(str(failure))
        title = notebooks.heading(executed)
        notebooks.write_html(executed, pages / f"{path.stem}.html", title)
        seconds = time.perf_counter() - start
        items.append(f'<li><a href="{path.stem}.html">{html.escape(title)}</a> ({seconds:.0f} s)</li>')
    scale, seed = os.environ.get("COURSE_SCALE") or "sample", os.environ.get("COURSE_SEED") or "42"
    index = PAGE.format(scale=scale.capitalize(), seed=seed, items="\n".join(items))
    write_text(pages / "index.html", index)
    print(f"Open {pages / 'index.html'}")
    if failures:
        sys.exit("\n" + "\n\n".join(failures))


if __name__ == "__main__":
    main(*sys.argv[1:2])
