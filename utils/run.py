"""Run: one notebook at one scale with one seed. It seeds, picks, records and compares."""

import datetime
import logging
import os
import platform
import shutil
import subprocess
import sys

import joblib
import keras
import pandas as pd

from utils import results
from utils.settings import checked_devices, checked_scale, checked_seed
from utils.storage import DataError, read_json, write_json

# A course of many small models has each of them traced once, which TensorFlow takes for one model traced too often.
logging.getLogger("tensorflow").addFilter(lambda record: "tf.function retracing" not in record.getMessage())

if keras.backend.backend() == "jax":
    # These layers ask not to be compiled, for TensorFlow's sake. On JAX a model with one of them would then run
    # operation by operation, many times slower: benchmarks/compiled_augmentation.py.
    for _layer in (keras.layers.RandomRotation, keras.layers.RandomTranslation, keras.layers.RandomZoom):
        _layer.supports_jit = property(lambda self: True, lambda self, value: None)

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


class Run:
    """One execution of a notebook.

    `COURSE_SCALE` (sample, the default, or full) and `COURSE_SEED` (42) say which. What is recorded goes to
    build/results/<scale>/<notebook>-seed<seed>.json after every call, in the shape of `utils.results`, unless `make full`
    has left a finished result there.
    `COURSE_DEVICES=all` divides every batch among the devices that JAX sees; batches must be divisible by their number.

    Raises SettingError for an unknown scale, a seed that is no whole number from 0 to 2**32 - 1, or other devices.
    """

    def __init__(self, notebook: str):
        self.notebook = notebook
        self.scale = checked_scale(os.environ.get("COURSE_SCALE"))
        self.seed = checked_seed(os.environ.get("COURSE_SEED"))
        # Read when the first operation runs. JAX's flag concerns GPUs; torch has no such variable.
        os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
        if "xla_gpu_deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
            os.environ["XLA_FLAGS"] = (
                f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
            )
        self.n_devices = _use_all_devices() if checked_devices(os.environ.get("COURSE_DEVICES")) else 1
        keras.utils.set_random_seed(self.seed)
        self._result = {
            "notebook": notebook,
            "scale": self.scale,
            "data": {},
            "environment": environment(),
            "date": datetime.date.today().isoformat(),
            "seeds": [self.seed],
            "models": {},
        }
        if self.n_devices > 1:
            self._result["environment"]["devices"] = self.n_devices
        self._path = results.run_path(notebook, self.scale, self.seed)
        # A notebook that is open at full scale must not undo what make full took hours for.
        self._earlier_stays = bool(read_json(self._path).get("finished"))
        print(self)
        if self._earlier_stays:
            print(
                f"{self._path.name} is a finished result of make full and stays; this run's goes to no file"
            )
        if _is_cpu(self._result["environment"]["device"]) and (gpu := _installed_gpu()):
            print(f"This machine has a GPU ({gpu}) that Keras does not see: see “Full scale” in README.md")

    def __str__(self) -> str:
        env = self._result["environment"]
        # The number of cores would make stored outputs differ between machines; it stays in the results.
        device = "CPU" if _is_cpu(env["device"]) else env["device"]
        if self.n_devices > 1:
            device = f"{self.n_devices} × {device}"
        return f"{self.scale} scale · seed {self.seed} · Keras {env['keras']} on {env['backend']} · {device}"

    def pick(self, *, sample, full):
        """The value for this run's scale."""
        return {"sample": sample, "full": full}[self.scale]

    def note_data(self, **facts: str | int) -> None:
        """Note facts about the data (name, sha256, n_train, …) beside what is recorded."""
        self._result["data"].update(facts)

    def record(
        self,
        model: str,
        *,
        parameters: int | None = None,
        epochs: int | None = None,
        seconds: float | None = None,
        **metrics: float,
    ) -> None:
        """Note one model's results under the name that the tables show; a second call replaces the first.

        parameters: number of trained and frozen weights; epochs: trained; seconds: spent on training;
        metrics: such as test_accuracy, as fractions.

        Raises DataError where the file cannot be written.
        """
        if not metrics:
            raise ValueError(
                f"nothing to record for {model!r}: pass at least one metric, such as test_accuracy=0.98"
            )
        facts = {"parameters": parameters, "epochs": epochs}
        entry = {name: int(value) for name, value in facts.items() if value is not None}
        if seconds is not None:
            entry["seconds"] = [round(float(seconds), 1)]
        entry |= {name: results.summary([float(value)]) for name, value in metrics.items()}
        self._result["models"][model] = entry
        if self._earlier_stays:
            return
        try:
            write_json(self._path, self._result)
        except OSError as error:
            raise DataError(
                f"{self._path} cannot be written ({error.strerror or error}). Free some space, or mend its folder's "
                "permissions; then run this cell again."
            ) from error

    def recorded(self, model: str, metric: str) -> list[float]:
        """What the recorded full-scale run measured of a model, one value a seed; [] where nobody recorded it."""
        models = results.recorded_result(self.notebook).get("models", {})
        return models.get(model, {}).get(metric, {}).get("values", [])

    def recorded_heading(self, model: str | None = None) -> str:
        """The recorded full-scale run in words: its data and number of seeds, of all its models or of one."""
        return results.recorded_heading(results.recorded_result(self.notebook), model)

    def compare(self, **metrics: str) -> pd.DataFrame:
        """The table book · recorded full run · this run, one row a model.

        metrics: heading by metric, such as test_accuracy="test accuracy" (the default).
        """
        recorded = results.recorded_result(self.notebook)
        columns = {
            "book": results.book_result(self.notebook),
            self.recorded_heading(): recorded,
            f"this run: {self._result['data'].get('name', self.scale)}": self._result,
        }
        return results.comparison_table(columns, metrics or {"test_accuracy": "test accuracy"})


def environment() -> dict[str, str]:
    """Versions of Python, Keras and its backend, and the device that computes."""
    module = sys.modules[keras.backend.backend()]  # Keras has imported it
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": f"{_backend()} {module.__version__}",
        "device": _device(),
    }


def _use_all_devices() -> int:
    """Divide batches among all devices where the backend can, and say where it cannot; the number of devices."""
    if keras.backend.backend() != "jax":
        print(f"COURSE_DEVICES=all: one device is used; Keras divides batches on JAX, not on {_backend()}")
        return 1
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    return len(devices)


def _backend() -> str:
    return BACKENDS.get(keras.backend.backend(), keras.backend.backend())


def _device() -> str:
    """The device on which Keras puts a tensor."""
    if "CPU" not in str(keras.ops.zeros(1).device).upper():
        return _installed_gpu() or "GPU"
    number = joblib.cpu_count()
    return f"CPU, {number} core" + ("s" if number != 1 else "")


def _is_cpu(device: str) -> bool:
    return device.startswith("CPU")


def _installed_gpu() -> str:
    """Name of the first NVIDIA GPU that the driver reports, '' without one."""
    if not shutil.which("nvidia-smi"):
        return ""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.splitlines()[0].strip() if answer.returncode == 0 and answer.stdout.strip() else ""
