"""Run: scales, seeds, what it records and compares."""

import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import nbformat
import numpy as np
import pytest

from tools import notebooks
from utils import results
from utils import run as run_module
from utils.run import Run
from utils.settings import SettingError
from utils.storage import ROOT, DataError, write_json


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Results go to a temporary folder; the environment asks for nothing."""
    monkeypatch.setattr(results, "BUILD", tmp_path / "build")
    monkeypatch.setattr(results, "RECORDED", tmp_path / "results" / "full")
    for variable in ("COURSE_SCALE", "COURSE_SEED", "COURSE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)


def stored(scale="sample", seed=42) -> dict:
    return json.loads(results.run_path("02_test", scale, seed).read_text())


def test_defaults_and_banner(capsys):
    run = Run("02_test")
    assert (run.scale, run.seed) == ("sample", 42)
    line = capsys.readouterr().out
    for part in ("sample scale", "seed 42", f"Keras {keras.__version__}"):
        assert part in line
    first, *warnings = line.splitlines()
    assert "core" not in first
    assert all("that Keras does not see" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("device", "installed", "banner", "recorded"),
    [("cpu:0", "", "CPU", "CPU, 3 cores"), ("cuda:0", "NVIDIA H200", "NVIDIA H200", "NVIDIA H200")],
)
def test_the_device_is_named_and_cores_are_only_recorded(
    monkeypatch, capsys, device, installed, banner, recorded
):
    monkeypatch.setattr(run_module.keras.ops, "zeros", lambda shape: SimpleNamespace(device=device))
    monkeypatch.setattr(run_module, "_installed_gpu", lambda: installed)
    monkeypatch.setattr(run_module.joblib, "cpu_count", lambda: 3)
    run = Run("02_test")
    line = capsys.readouterr().out
    assert line.endswith(f" · {banner}\n")
    cell = nbformat.v4.new_code_cell("run", outputs=[nbformat.v4.new_output("stream", text=line)])
    assert notebooks.device(nbformat.v4.new_notebook(cells=[cell])) == banner, "as make run's pages show it"
    run.record("CNN", test_accuracy=0.5)
    assert stored()["environment"]["device"] == recorded


def test_pick(monkeypatch):
    assert Run("02_test").pick(sample=4, full=20) == 4
    monkeypatch.setenv("COURSE_SCALE", "full")
    assert Run("02_test").pick(sample=4, full=20) == 20


def test_unknown_scale_lists_the_valid_ones(monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "Full")
    with pytest.raises(ValueError, match=r"COURSE_SCALE='Full' is not a scale.*'sample'.*'full'"):
        Run("02_test")


@pytest.mark.parametrize("seed", ["forty-two", "-1", "4.2", str(2**32)])
def test_bad_seed(monkeypatch, seed):
    monkeypatch.setenv("COURSE_SEED", seed)
    with pytest.raises(ValueError, match="is not a seed"):
        Run("02_test")


def test_seeds_everything(monkeypatch):
    def draws(seed):
        monkeypatch.setenv("COURSE_SEED", str(seed))
        Run("02_test")
        return np.random.rand(), float(keras.random.uniform(()))  # noqa: NPY002 - scikit-learn's default

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_record_has_the_documented_shape():
    run = Run("02_test")
    run.note_data(name="sample digits", sha256="0", n_train=4, n_test=2)
    run.record("CNN", parameters=10, epochs=3, seconds=1.26, test_accuracy=np.float32(0.5))
    result = stored()
    assert set(result) == {"notebook", "scale", "data", "environment", "date", "seeds", "models"}
    assert result["data"] == {"name": "sample digits", "sha256": "0", "n_train": 4, "n_test": 2}
    assert set(result["environment"]) == {"python", "keras", "backend", "device"}
    assert result["models"]["CNN"] == {
        "parameters": 10, "epochs": 3, "seconds": [1.3], "test_accuracy": {"values": [0.5], "mean": 0.5, "std": None},
    }  # fmt: skip


def test_recording_again_replaces():
    run = Run("02_test")
    run.record("CNN", test_accuracy=0.1, other=1.0)
    run.record("CNN", test_accuracy=0.2)
    assert list(stored()["models"]["CNN"]) == ["test_accuracy"]
    assert stored()["models"]["CNN"]["test_accuracy"]["mean"] == 0.2


def test_a_finished_result_of_make_full_stays(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_SCALE", "full")
    finished = {"finished": "2026-01-01", "models": {"CNN": {"test_accuracy": results.summary([0.9])}}}
    write_json(results.run_path("02_test", "full", 42), finished)
    run = Run("02_test")
    assert "is a finished result of make full and stays" in capsys.readouterr().out
    run.record("CNN", test_accuracy=0.1)
    assert stored("full") == finished
    assert list(run.compare().loc["CNN"])[-1] == "10.00 %"


def test_results_that_cannot_be_written_are_one_clear_error(monkeypatch, tmp_path):
    (tmp_path / "build").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"02_test-seed42\.json cannot be written .*run this cell again"):
        Run("02_test").record("CNN", test_accuracy=0.5)


def test_nothing_to_record():
    with pytest.raises(ValueError, match="nothing to record for 'CNN'"):
        Run("02_test").record("CNN", epochs=3)


def test_scales_and_seeds_do_not_overwrite_each_other(monkeypatch):
    for scale in ("sample", "full"):
        for seed in (1, 2):
            monkeypatch.setenv("COURSE_SCALE", scale)
            monkeypatch.setenv("COURSE_SEED", str(seed))
            Run("02_test").record("CNN", test_accuracy=seed / 10)
    assert [stored(s, n)["models"]["CNN"]["test_accuracy"]["mean"] for s in ("sample", "full") for n in (1, 2)] == [
        0.1, 0.2, 0.1, 0.2,
    ]  # fmt: skip


def test_compare_leaves_unmeasured_cells_empty(monkeypatch):
    book = {"models": {"LeNet5": {"parameters": 7, "test_accuracy": results.summary([0.9919])}}}
    monkeypatch.setattr(results, "book_result", lambda notebook: book)
    run = Run("02_test")
    run.note_data(name="sample digits")
    run.record("CNN", test_accuracy=0.5)
    run.record("other", validation_accuracy=0.5)
    table = run.compare()
    assert list(table.index) == ["CNN", "LeNet5"]
    assert list(table.loc["CNN"]) == ["", "", "", "50.00 %"]
    assert list(table.loc["LeNet5"]) == ["7", "99.19 %", "", ""]
    assert list(table.columns)[2] == "recorded at full scale: none yet"


def test_compare_shows_a_recorded_run():
    recorded = {
        "data": {"name": "MNIST"}, "seeds": [1, 2], "models": {"CNN": {"test_accuracy": results.summary([0.5, 0.7])}},
    }  # fmt: skip
    write_json(results.RECORDED / "02_test.json", recorded)
    run = Run("02_test")
    run.record("CNN", test_accuracy=0.5)
    assert run.compare().loc["CNN", "recorded: MNIST, 2 seeds"] == "60.00 % ± 14.14"


def test_damaged_result_file_is_named():
    path = results.RECORDED / "02_test.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"02_test\.json is not valid JSON"):
        Run("02_test").compare()


def test_gpu_that_keras_does_not_see_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(run_module.keras.ops, "zeros", lambda shape: SimpleNamespace(device="cpu:0"))
    monkeypatch.setattr(run_module.shutil, "which", lambda name: f"/usr/bin/{name}")

    def nvidia_smi(command, **options):
        return subprocess.CompletedProcess(command, 0, stdout="NVIDIA H200\n")

    monkeypatch.setattr(run_module.subprocess, "run", nvidia_smi)
    Run("02_test")
    assert "has a GPU (NVIDIA H200) that Keras does not see" in capsys.readouterr().out


def test_what_was_recorded_is_looked_up_by_model_and_metric():
    run = Run("02_test")
    assert run.recorded("CNN", "test_accuracy") == []
    assert run.recorded_heading() == "recorded at full scale: none yet"
    measured = {"CNN": {"test_accuracy": {"values": [0.5, 0.7], "mean": 0.6, "std": 0.1}}}
    result = {"notebook": "02_test", "data": {"name": "MNIST"}, "seeds": [1, 2], "models": measured}
    write_json(results.RECORDED / "02_test.json", result)
    assert run.recorded("CNN", "test_accuracy") == [0.5, 0.7]
    assert run.recorded("CNN", "test_auc") == run.recorded("LeNet5", "test_accuracy") == []
    assert run.recorded_heading() == "recorded: MNIST, 2 seeds"
    measured["AlexNet"] = {"seeds": [1], "test_accuracy": results.summary([0.8])}
    assert results.recorded_heading(result | {"models": measured}) == "recorded: MNIST, 1 to 2 seeds"
    assert results.recorded_heading(result | {"models": measured}, "CNN") == "recorded: MNIST, 2 seeds"
    assert results.recorded_heading(result | {"models": measured}, "AlexNet") == "recorded: MNIST, 1 seed"


def test_only_the_alarm_about_retracing_is_filtered(caplog):
    logger = logging.getLogger("tensorflow")
    for message in ("5 out of the last 5 calls triggered tf.function retracing.", "out of memory"):
        logger.warning(message)
    assert [record.getMessage() for record in caplog.records if record.name == "tensorflow"] == [
        "out of memory"
    ]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="on JAX alone Keras compiles all or nothing")
def test_on_jax_a_model_that_moves_images_is_compiled():
    layers = keras.layers
    for moving in (layers.RandomTranslation(0.1, 0.1), layers.RandomRotation(0.1), layers.RandomZoom(0.1)):
        model = keras.Sequential([keras.Input((8, 8, 1)), moving, layers.Flatten(), layers.Dense(1)])
        model.compile(loss="mse")
        assert model.jit_compile, moving.name
        images = np.random.default_rng(0).random((4, 8, 8, 1), dtype="float32")
        assert np.isfinite(model.fit(images, np.ones(4), verbose=0).history["loss"][0])


def test_other_devices_are_refused(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICES", "2")
    with pytest.raises(SettingError, match=r"COURSE_DEVICES='2'.*Valid: 'all'"):
        Run("02_test")


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="on JAX batches are divided")
def test_all_devices_are_one_on_other_backends(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DEVICES", "all")
    assert Run("02_test").n_devices == 1
    assert "COURSE_DEVICES=all: one device is used" in capsys.readouterr().out


TWO_DEVICES = """
import pathlib
import sys
import keras
import numpy as np
from utils import results
from utils.run import Run
results.BUILD = pathlib.Path(sys.argv[1])
run = Run("02_test")
rng = np.random.default_rng(0)
images, labels = rng.random((64, 8, 8, 1), dtype="float32"), rng.integers(0, 3, 64)
layers = keras.layers
model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
losses = model.fit(images, labels, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
print(run.n_devices, *losses)
checkpoint = pathlib.Path(sys.argv[1], "of_two.weights.h5")
if run.n_devices > 1:
    model.set_weights([1.5 * weights for weights in model.get_weights()])  # so that reading them tells
    model.save_weights(checkpoint)
elif checkpoint.exists():
    model.load_weights(checkpoint)
np.save(pathlib.Path(sys.argv[1], f"said_by_{run.n_devices}.npy"), model.predict(images, batch_size=16, verbose=0))
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras divides batches on JAX alone")
def test_two_devices_train_as_one_and_one_reads_their_checkpoint(tmp_path):
    def trained(**env):
        flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
        command = [sys.executable, "-c", TWO_DEVICES, tmp_path]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **flags, **env}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        banner, line = done.stdout.splitlines()
        return banner, [float(number) for number in line.split()]

    (_, one), (banner, two) = trained(), trained(COURSE_DEVICES="all")
    assert (one[0], two[0]) == (1, 2)
    assert "2 × CPU" in banner
    assert two[1:] == pytest.approx(one[1:], rel=1e-5)
    trained()  # reads the two devices' checkpoint
    said_by_one, said_by_two = (np.load(tmp_path / f"said_by_{n}.npy") for n in (1, 2))
    np.testing.assert_allclose(said_by_one, said_by_two, rtol=1e-5, atol=1e-6)
