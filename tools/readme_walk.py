"""Type README's commands, as a newcomer would: python -m tools.readme_walk N runs block N of its section “Start”.

The weekly workflow does it on bare machines. A command that starts JupyterLab is ended once the server answers.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
SECONDS = 300  # for JupyterLab to answer
PORT = 18888  # where nothing else listens


def blocks(text: str, section: str = "Start") -> list[list[str]]:
    """The commands of a section's fenced blocks, one list a block, without comments.

    Raises ValueError where there is no such section, or no block in it.
    """
    parts = re.split(r"(?m)^## (.+)$", text)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = re.findall(r"(?ms)^```(?:\w*)\n(.*?)^```$", sections.get(section, ""))
    if not found:
        raise ValueError(f"README.md has no commands in a section {section!r}")
    uncommented = [re.sub(r"\s+#.*", "", block).replace("\\\n", " ") for block in found]
    return [[line.strip() for line in block.splitlines() if line.strip()] for block in uncommented]


def walk(commands: list[str]) -> None:
    """Run the commands one after the other. Exits with the first that fails."""
    for command in commands:
        print(f"$ {command}", flush=True)
        if re.search(r"\blab$", command):
            serve(command)
        elif code := subprocess.run(command, shell=True, check=False).returncode:
            sys.exit(f"README's command failed with exit code {code}: {command}")


def serve(command: str) -> None:
    """Start a server on a port of its own, wait until it answers, end it. Exits where it does not answer."""
    environment = os.environ | {"JUPYTER_PORT": str(PORT), "BROWSER": "true"}
    process = subprocess.Popen(command, shell=True, env=environment, start_new_session=True)
    try:
        for _ in range(SECONDS):
            if process.poll() is not None:
                sys.exit(f"README's command ended with exit code {process.returncode}: {command}")
            try:
                with urllib.request.urlopen(f"http://localhost:{PORT}/api", timeout=5) as answer:
                    print(f"JupyterLab answers: {answer.read().decode()}", flush=True)
                    return
            except OSError:  # not yet
                time.sleep(1)
        sys.exit(f"JupyterLab did not answer within {SECONDS} s: {command}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def main(number: str) -> None:
    walk(blocks(README.read_text(encoding="utf-8"))[int(number) - 1])


if __name__ == "__main__":
    main(sys.argv[1])
