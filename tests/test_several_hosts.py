"""A training that is divided among processes is the same training, and one process reads what they save."""

import keras
import numpy as np
import pytest

from benchmarks import several_hosts


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras joins processes on JAX alone")
def test_two_processes_train_as_one_and_one_reads_their_checkpoints(tmp_path):
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
    ((*alone, _),) = several_hosts.on_this_machine(1, tmp_path / "1")
    (*first, _), (*second, _) = several_hosts.on_this_machine(2, tmp_path / "2")
    assert first == second == pytest.approx(alone, rel=1e-5)
    assert alone[-1] < alone[0]

    def weights(*path):
        model = several_hosts.network()
        model.load_weights(tmp_path.joinpath(*path))
        return model.get_weights()

    by_one = weights("1", "0.weights.h5")
    assert not np.allclose(by_one[0], several_hosts.network().get_weights()[0], atol=1e-5)  # trained
    for process in (0, 1):
        for one, two in zip(by_one, weights("2", f"{process}.weights.h5"), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_every_row_goes_to_one_process():
    rows = np.arange(2 * several_hosts.BATCH)
    first, second = (several_hosts.share(rows, process, 2) for process in (0, 1))
    half = several_hosts.BATCH // 2
    np.testing.assert_array_equal(first[:half], rows[:half])
    np.testing.assert_array_equal(second[:half], rows[half : 2 * half])
    assert sorted([*first, *second]) == list(rows)
