"""What a report of an error needs: python -m tools.report prints versions, device, settings and the last error.

It needs nothing but Python, so that it still speaks where the installation is broken, and names no folder and no user
of the machine.
"""

import getpass
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BACKENDS = ("tensorflow", "tensorflow-cpu", "jax", "torch")  # of which one or two are installed
PACKAGES = (
    "keras",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "h5py",
    "jupyterlab",
    "ipykernel",
)
PACKAGES += ("nbclient", "nbconvert", "nbformat", "nbval", "pytest", "joblib")
SETTINGS = ("COURSE_SCALE", "COURSE_SEED", "COURSE_DEVICES", "KERAS_BACKEND")  # shown
PLACES = ("COURSE_DATA", "KERAS_HOME")  # only whether they are set: their values are paths
LAST_LINES = 15  # of a log
PROBE = """
import json, keras
backend = keras.backend.backend()
print(json.dumps({"backend": backend, "device": str(keras.ops.zeros(1).device)}))
"""


def without_names(text: str, environ: dict[str, str] | None = None) -> str:
    """The text without the paths of this checkout, of COURSE_DATA and of home folders, and without the user's name."""
    environ = dict(os.environ) if environ is None else environ
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises an error where there is none
    replaced = {str(ROOT): ".", home: "~", os.path.realpath(home): "~"}
    replaced |= {os.path.normpath(environ[name]): f"${name}" for name in PLACES if environ.get(name)}
    for path in sorted(replaced, key=len, reverse=True):  # the longest first: one may lie in another
        for form in {path, path.replace("\\", "\\\\"), path.replace("\\", "/")} if len(path) > 1 else ():
            text = re.sub(re.escape(form) + r"(?![\w.-])", lambda _, path=path: replaced[path], text)
    text = re.sub(r"(?i)(/home/|/Users/|[A-Z]:\\{1,2}Users\\{1,2})[^/\\\s'\":]+", "~", text)
    user = _user()
    return re.sub(rf"\b{re.escape(user)}\b", "USER", text) if len(user) > 2 and user != "root" else text


def _user() -> str:
    try:
        return getpass.getuser()
    except (
        OSError,
        KeyError,
        ImportError,
    ):  # a container may give its user no name; Windows has no module pwd
        return ""


def versions() -> list[str]:
    """One line a package: its version, and the locked one where it differs."""
    locked = _locked()
    lines = []
    for name in (*BACKENDS, *PACKAGES):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name not in BACKENDS:
                lines.append(f"{name}: not installed")
            continue
        wanted = locked.get(name, version)
        lines.append(f"{name} {version}" + (f" (locked: {wanted})" if wanted != version else ""))
    return lines


def _locked() -> dict[str, str]:
    """Versions that the lock of this Python's environment pins, by package."""
    suffix = Path(sys.prefix).name.removeprefix(".venv")
    name = f"requirements{suffix}.txt" if suffix in ("-gpu", "-jax", "-torch") else "requirements.txt"
    try:
        text = (ROOT / name).read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^ \\;]+)", text))


def keras_sees() -> str:
    """Backend and device, or why there is no answer; from a process of its own, since an import may crash."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"did not answer ({type(error).__name__})"
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return f"cannot be used: {why[0]}"
    found = json.loads(done.stdout.splitlines()[-1])
    return f"{found['backend']} on {found['device']}"


def gpus() -> str:
    """The GPUs that NVIDIA's driver names."""
    if not shutil.which("nvidia-smi"):
        return "no nvidia-smi"
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi did not answer: {type(error).__name__}"
    names = "; ".join(line.strip() for line in done.stdout.splitlines() if line.strip())
    return names if names and not done.returncode else "nvidia-smi names none"


def unseen(device: str, driver: str) -> str:
    """A warning where the driver names a GPU and Keras computes on the CPU, else ''."""
    if "cpu" not in device.lower() or "nvidia-smi" in driver:
        return ""
    return "Keras does not see this GPU: see “Full scale” in README.md"


def machine() -> str:
    """Cores and memory."""
    try:
        import joblib

        cores = joblib.cpu_count()
    except Exception:  # broken or missing: this is what the report is for
        cores = os.cpu_count()
    try:
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (AttributeError, ValueError, OSError):  # Windows
        memory = "memory unknown"
    return f"{cores} cores, {memory}"


def settings(environ: dict[str, str]) -> list[str]:
    """The course's variables; of paths only whether they are set, and to a folder."""
    lines = [f"{name}: {environ.get(name) or 'not set'}" for name in SETTINGS]
    for name in PLACES:
        value = environ.get(name)
        state = "set" if value and Path(value).expanduser().is_dir() else "set, but not to a folder"
        lines.append(f"{name}: {state if value else 'not set'}")
    return lines


def commit() -> str:
    """The commit of this checkout, and how many files differ from it."""
    try:
        head, changed = (
            subprocess.run(
                ["git", *command], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
            ).stdout
            for command in (["log", "-1", "--format=%h of %as"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown (no git, or no repository)"
    number = len(changed.splitlines())
    return head.strip() + (f", {number} file(s) changed" if number else "")


def pages(build: Path = BUILD) -> list[str]:
    """One line a page under build/html: finished, or where its notebook failed."""
    failed = {}
    try:
        runs = json.loads((build / "html" / "runs.json").read_text(encoding="utf-8"))
        failed = {stem: page["failed"] for stem, page in runs.items() if page.get("failed")}
    except (OSError, ValueError, AttributeError, TypeError):  # make run has not been called, or is writing
        pass
    found = [path for path in sorted((build / "html").rglob("*.html")) if path.name != "index.html"]
    return [
        f"{path.relative_to(build / 'html').with_suffix('').as_posix()}: {failed.get(path.stem, 'has a page')}"
        for path in found
    ]


def last_error(build: Path = BUILD) -> list[str]:
    """The end of the newest log that holds something."""
    logs = []
    for path in (build / "logs").glob("*.log"):
        try:
            logs.append((path.stat().st_mtime, path, path.read_text(encoding="utf-8", errors="replace")))
        except OSError:  # being replaced, or not ours to read
            continue
    written = [log for log in logs if log[2].strip()]
    if not written:
        return []
    _, path, text = max(written)
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    return [f"(end of {path.name})", *lines[-LAST_LINES:]]


def report() -> str:
    """The whole report, in Markdown."""
    device, driver = keras_sees(), gpus()
    machine_lines = [
        f"Python {platform.python_version()} on {platform.platform()}",
        f"Keras: {device}",
        f"GPU: {driver}",
        machine(),
        unseen(device, driver),
    ]
    parts = {
        "Machine": machine_lines,
        "Settings": settings(dict(os.environ)),
        "Commit": [commit()],
        "Versions": versions(),
        "Pages": pages() or ["none yet"],
    }
    text = "\n\n".join(
        f"**{title}**\n" + "\n".join(f"- {line}" for line in lines if line) for title, lines in parts.items()
    )
    error = "\n".join(last_error() or ["build/logs holds none"])
    return without_names(f"{text}\n\n**Last messages of a notebook**\n```\n{error}\n```")


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # a terminal of Windows may not know “ and ”
        sys.stdout.reconfigure(errors="replace")
    print(report())
